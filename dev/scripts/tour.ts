import { mkdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { chromium, type Browser, type Locator, type Page, type Response } from 'playwright-core';
import * as z from 'zod';
import { readDevEnv, readTourEnv } from '../env.js';
import { projectRoot } from '../paths.js';

/**
 * Walks through the main job in a real browser, against a running `npm run dev`, as a person would: registers in
 * Swagger UI, finds the mail, enters the password, presses the button, logs in, authorizes, creates a user, follows the registration through
 * the log viewer. Leaves a picture of each stop in `.local/tour/`, and the README's pictures in docs/images/. Deletes
 * its account at the end, so that the next tour finds the name free.
 */

const Stack = z.object({ api: z.string(), mailbox: z.string(), firehose: z.string() });

interface Size {
  readonly width: number;
  readonly height: number;
}

/** So narrow that a page can be read when the README shows it at half of its column. */
const narrow = { width: 560, height: 900 };
const mailClient = { width: 760, height: 800 };
const wide = { width: 1_100, height: 900 };
/** The two pictures that stand side by side: height by width. */
const halfShape = 1.02;

const readmePictures = resolve(projectRoot, 'docs/images');
const person = {
  email: `ada${Date.now() % 10_000}@example.com`,
  name: 'Ada Lovelace',
  password: 'a tour needs no map',
};

const { dataDir } = readDevEnv();
const pictures = resolve(dataDir, 'tour');
const stack = Stack.parse(JSON.parse(await readFile(resolve(dataDir, 'stack.json'), 'utf8')));
await mkdir(pictures, { recursive: true });
const chrome = await chromium.launch({
  executablePath: readTourEnv().chromium,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
try {
  await tour(chrome);
} finally {
  await chrome.close();
}

async function tour(browser: Browser): Promise<void> {
  const docs = await openPage(browser, narrow);
  await docs.goto(`${stack.api}/apidocs/`);
  const requestId = await register(docs);
  await confirm(browser);
  const token = await logIn(docs);
  try {
    await createUser(docs);
    await followInLogs(browser, requestId);
  } finally {
    await deleteAccount(token);
  }
}

/** Resolves to the id of the request. */
async function register(docs: Page): Promise<string> {
  const response = await call(docs, 'Registration', 'register', JSON.stringify(person, null, 2));
  await picture(docs, 'swagger-register');
  // As if its corner had been dragged: the box is much higher than the fields in it.
  await docs.addStyleTag({
    content: '.body-param__text { height: 96px; min-height: 0 !important }',
  });
  const operation = docs.locator('#operations-Registration-register');
  await readmePicture(operation, 'register', halfShape);
  return response.headers()['x-request-id'] ?? '';
}

async function confirm(browser: Browser): Promise<void> {
  const mailbox = await openPage(browser, mailClient);
  await mailbox.goto(stack.mailbox);
  await mailbox.getByText(person.email).first().click();
  const mail = mailbox.frameLocator('iframe >> nth=0');
  const button = mail.getByRole('link', { name: 'Confirm my address' });
  await button.waitFor();
  await picture(mailbox, 'mailbox');
  await readmePicture(mailbox.locator('.email-container'), 'mail', halfShape);

  const page = await openPage(browser, narrow);
  await page.goto((await button.getAttribute('href')) ?? '');
  await picture(page, 'confirm');
  await page.getByLabel('Your password').fill(person.password);
  await page.getByRole('button', { name: 'Confirm my address' }).click();
  await page.getByRole('heading', { name: 'Your address is confirmed' }).waitFor();
  await picture(page, 'confirmed');
}

/** Resolves to the access token, which the page bears from now on, too. */
async function logIn(docs: Page): Promise<string> {
  const { email, password } = person;
  const response = await call(docs, 'Sessions', 'logIn', JSON.stringify({ email, password }));
  const { access_token: token } = z
    .object({ access_token: z.string() })
    .parse(await response.json());
  await docs.getByRole('button', { name: 'Authorize' }).first().click();
  await docs.getByRole('textbox', { name: 'auth-bearer-value' }).fill(token);
  const dialog = docs.locator('.auth-btn-wrapper');
  await dialog.getByRole('button', { name: 'Apply credentials' }).click();
  await dialog.getByRole('button', { name: 'Close' }).click();
  return token;
}

async function createUser(docs: Page): Promise<void> {
  const user = { email: 'grace@example.com', name: 'Grace' };
  await call(docs, 'Users', 'createUser', JSON.stringify(user, null, 2));
  await picture(docs, 'swagger-create-user');
}

/** One trace leads from the request in the API to the mail that the worker has sent. */
async function followInLogs(browser: Browser, requestId: string): Promise<void> {
  const logs = await openPage(browser, wide);
  await logs.goto(stack.firehose);
  await logs.getByText('/users').first().waitFor();
  await picture(logs, 'log-viewer');
  const search = logs.getByRole('searchbox');
  await search.fill(requestId);
  await logs.locator('tr.record').nth(2).waitFor({ state: 'detached' });
  await logs.getByText('/auth/register').click();
  const trace = logs.locator('dt', { hasText: 'trace.id' }).locator('+ dd');
  await search.fill((await trace.textContent()) ?? '');
  await logs.getByText('job completed').click();
  await logs.locator('dt', { hasText: 'labels.job_id' }).waitFor();
  await logs.mouse.move(0, 0);
  await readmePicture(logs.locator('body'), 'logs');
}

async function deleteAccount(token: string): Promise<void> {
  const response = await fetch(`${stack.api}/auth/me`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ current_password: person.password }),
  });
  if (!response.ok) throw new Error(`Deleting the account was answered ${response.status}`);
}

async function openPage(browser: Browser, viewport: Size): Promise<Page> {
  const page = await browser.newPage({ viewport, deviceScaleFactor: 2 });
  page.setDefaultTimeout(15_000);
  page.on('pageerror', (error) => {
    throw new Error(`${page.url()} has a script error: ${error.message}`);
  });
  page.on('console', (message) => {
    if (message.type() === 'error') process.stderr.write(`${page.url()}: ${message.text()}\n`);
  });
  return page;
}

/** Runs one operation in Swagger UI and resolves to the answer. */
async function call(page: Page, tag: string, operationId: string, body: string): Promise<Response> {
  const operation = page.locator(`#operations-${tag}-${operationId}`);
  await operation.locator('.opblock-summary-control').click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.locator('textarea').first().fill(body);
  const answered = page.waitForResponse((response) => response.request().method() === 'POST');
  await operation.getByRole('button', { name: 'Execute' }).click();
  const response = await answered;
  if (!response.ok())
    throw new Error(`${operationId} answered ${response.status()}: ${await response.text()}`);
  await operation.locator('.live-responses-table').waitFor();
  await operation.scrollIntoViewIfNeeded();
  return response;
}

async function picture(page: Page, name: string): Promise<void> {
  const path = resolve(pictures, `${name}.png`);
  await page.screenshot({ path });
  process.stdout.write(`${path}\n`);
}

/** A picture of one part of a page, from its top and as high as `shape` says (height by width), or as it is. */
async function readmePicture(part: Locator, name: string, shape?: number): Promise<void> {
  const path = resolve(readmePictures, `${name}.png`);
  const page = part.page();
  const box = await part.boundingBox();
  if (box === null) throw new Error(`There is nothing to be seen for ${name}.png`);
  const y = box.y + z.number().parse(await page.evaluate('window.scrollY'));
  const height = shape === undefined ? box.height : Math.min(box.height, shape * box.width);
  await page.screenshot({ path, fullPage: true, clip: { ...box, y, height } });
  process.stdout.write(`${path}\n`);
}
