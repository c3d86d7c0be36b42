import { access, constants, mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { chromium, type Browser, type Locator, type Page, type Response } from 'playwright-core';
import * as z from 'zod';
import { EXIT_CONFIG } from '../../shared/config/config.js';
import { messageOf } from '../../shared/errors/message-of.js';
import { readOptions } from '../command-line.js';
import { readDevEnv, readTourEnv } from '../env.js';
import { readStackFile, type StackDescription } from '../stack/stack-file.js';
import {
  elementScreenshot,
  openPage as openPageWith,
  readmeFolder,
  screenshot,
  screenshotsFolder,
} from './browser.js';
import { tourConsole } from './console-tour.js';

const USAGE = `usage: npm run tour -- [--write]

Walks through a running \`npm run dev\` in a browser: registers in Swagger UI, confirms by the mailed link, logs in, creates a
user, follows the registration through the log viewer, and sees the console as an operator. Screenshots of every step go to
the folder tour/ of the data folder (.local).

  --write    puts the README's screenshots into docs/images/, instead of tour/readme/
  --help

CHROMIUM names the browser: a Chromium or Chrome, /usr/bin/chromium if it is not set.
`;

const EXIT_USAGE = 64;

interface Size {
  readonly width: number;
  readonly height: number;
}

/** Narrow enough to be legible at half of the README's column. */
const narrow = { width: 560, height: 900 };
const mailClient = { width: 760, height: 800 };
const wide = { width: 1_100, height: 900 };
/** Height by width of the two screenshots that the README shows side by side. */
const halfShape = 1.02;

/** Names are unique: the example admin of `npm run seed` and the person of an interrupted tour keep theirs. */
const number = Date.now() % 10_000;
const person = {
  email: `ada${number}@example.com`,
  name: `Ada ${number}`,
  password: 'a tour needs no map',
};

const readme = readmeFolder(readArguments());
const stack = await requireStack();
const executablePath = await requireChromium();
for (const folder of [screenshotsFolder, readme]) await mkdir(folder, { recursive: true });
const chrome = await chromium.launch({
  executablePath,
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
  await tourConsole(chrome, stack, readme);
} finally {
  await chrome.close();
}

/** Resolves to whether the README's screenshots are written. Ends the process unless the tour is to start. */
function readArguments(): boolean {
  const given = readOptions(USAGE, {
    options: { write: { type: 'boolean', default: false }, help: { type: 'boolean' } },
  });
  if (!given) process.exit(EXIT_USAGE);
  if (given.values.help !== true) return given.values.write;
  process.stdout.write(USAGE);
  process.exit(0);
}

/** The running `npm run dev`. Ends the process if there is none. */
async function requireStack(): Promise<StackDescription> {
  const found = await readStackFile(readDevEnv().dataDir);
  // A stack that was killed has left its file.
  if (found && (await fetch(`${found.api}/health/live`).catch(() => undefined))) return found;
  console.error('`npm run dev` is not running here. Start it first.');
  process.exit(EXIT_CONFIG);
}

/** The path of the browser. Ends the process if there is none. */
async function requireChromium(): Promise<string> {
  const path = readTourEnv().chromium;
  try {
    await access(path, constants.X_OK);
    return path;
  } catch (error) {
    console.error(
      `The tour needs Chromium, and ${path} cannot be run: ${messageOf(error)}. ` +
        'Install it (Debian, Ubuntu: sudo apt-get install -y chromium), or set CHROMIUM to the path of a Chromium or Chrome.',
    );
    process.exit(EXIT_CONFIG);
  }
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
  await screenshot(docs, 'swagger-register');
  // The text box is much higher than its content: shrunk, as by dragging its corner.
  await docs.addStyleTag({
    content: '.body-param__text { height: 96px; min-height: 0 !important }',
  });
  const operation = docs.locator('#operations-Registration-register');
  await readmeScreenshot(operation, 'register', halfShape);
  return response.headers()['x-request-id'] ?? '';
}

async function confirm(browser: Browser): Promise<void> {
  const mailbox = await openPage(browser, mailClient);
  await mailbox.goto(stack.mailbox);
  await mailbox.getByText(person.email).first().click();
  const mail = mailbox.frameLocator('iframe >> nth=0');
  const button = mail.getByRole('link', { name: 'Confirm my address' });
  await button.waitFor();
  await screenshot(mailbox, 'mailbox');
  await readmeScreenshot(mailbox.locator('.email-container'), 'mail', halfShape);

  const page = await openPage(browser, narrow);
  await page.goto((await button.getAttribute('href')) ?? '');
  await screenshot(page, 'confirm');
  await page.getByLabel('Your password').fill(person.password);
  await page.getByRole('button', { name: 'Confirm my address' }).click();
  await page.getByRole('heading', { name: 'Your address is confirmed' }).waitFor();
  await screenshot(page, 'confirmed');
}

/** Authorizes the page, and resolves to the access token. */
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
  await screenshot(docs, 'swagger-create-user');
}

/** One trace id joins the API's request and the worker's mail job. */
async function followInLogs(browser: Browser, requestId: string): Promise<void> {
  const logs = await openPage(browser, wide);
  await logs.goto(stack.firehose);
  await logs.getByText('/users').first().waitFor();
  await screenshot(logs, 'log-viewer');
  const search = logs.getByRole('searchbox');
  await search.fill(requestId);
  await logs.locator('tr.record').nth(2).waitFor({ state: 'detached' });
  await logs.getByText('/auth/register').click();
  const trace = logs.locator('dt', { hasText: 'trace.id' }).locator('+ dd');
  await search.fill((await trace.textContent()) ?? '');
  await logs.getByText('job completed').click();
  await logs.locator('dt', { hasText: 'labels.job_id' }).waitFor();
  await logs.mouse.move(0, 0);
  await readmeScreenshot(logs.locator('body'), 'logs');
}

function readmeScreenshot(part: Locator, name: string, shape?: number): Promise<void> {
  return elementScreenshot(part, resolve(readme, `${name}.png`), shape);
}

function openPage(browser: Browser, viewport: Size): Promise<Page> {
  return openPageWith(browser, { viewport });
}

async function deleteAccount(token: string): Promise<void> {
  const response = await fetch(`${stack.api}/auth/me`, {
    method: 'DELETE',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ current_password: person.password }),
  });
  if (!response.ok) throw new Error(`Deleting the account was answered with ${response.status}`);
}

/** Runs one operation in Swagger UI and resolves to the response. */
async function call(page: Page, tag: string, operationId: string, body: string): Promise<Response> {
  const operation = page.locator(`#operations-${tag}-${operationId}`);
  await operation.locator('.opblock-summary-control').click();
  await operation.getByRole('button', { name: 'Try it out' }).click();
  await operation.locator('textarea').first().fill(body);
  const answered = page.waitForResponse((response) => response.request().method() === 'POST');
  await operation.getByRole('button', { name: 'Execute' }).click();
  const response = await answered;
  if (!response.ok())
    throw new Error(
      `${operationId} was answered with ${response.status()}: ${await response.text()}`,
    );
  await operation.locator('.live-responses-table').waitFor();
  await operation.scrollIntoViewIfNeeded();
  return response;
}
