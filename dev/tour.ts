import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import * as z from 'zod';
import { readDevEnv, readTourEnv } from './env.js';
import { projectRoot } from './paths.js';

/**
 * Walks through the main job in a real browser, against a running `npm run dev`, as a person would: registers in
 * Swagger UI, finds the mail, presses the button, logs in, authorizes, creates a user, finds the request in the log
 * viewer. Leaves a picture of each stop in `.local/tour/`, and the README's picture in docs/images/.
 */

const Stack = z.object({ api: z.string(), mailbox: z.string(), firehose: z.string() });

const readmePicture = resolve(projectRoot, 'docs/images/tour.png');
const person = {
  email: `ada.${Date.now()}@example.com`,
  name: `Ada ${Date.now() % 100_000}`,
  password: 'a tour needs no map',
};
const viewport = { width: 1_180, height: 860 };

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
  const docs = await openPage(browser);
  await docs.goto(`${stack.api}/apidocs/`);
  await docs.addStyleTag({ content: 'body { zoom: 0.68 }' });
  await call(docs, 'Registration', 'register', JSON.stringify(person, null, 2));
  await picture(docs, 'swagger-register');

  const mailbox = await openPage(browser);
  await mailbox.goto(stack.mailbox);
  await mailbox.getByText(person.email).first().click();
  const mail = mailbox.frameLocator('iframe >> nth=0');
  const button = mail.getByRole('link', { name: 'Confirm my address' });
  await button.waitFor();
  await picture(mailbox, 'mailbox');

  const confirmation = await openPage(browser);
  await confirmation.goto((await button.getAttribute('href')) ?? '');
  await picture(confirmation, 'confirm');
  await confirmation.getByRole('button', { name: 'Confirm my address' }).click();
  await confirmation.getByRole('heading', { name: 'Your address is confirmed' }).waitFor();
  await picture(confirmation, 'confirmed');

  const { email, password } = person;
  const login = await call(docs, 'Sessions', 'logIn', JSON.stringify({ email, password }));
  const { access_token: token } = z.object({ access_token: z.string() }).parse(JSON.parse(login));
  await docs.getByRole('button', { name: 'Authorize' }).first().click();
  await docs.getByRole('textbox', { name: 'auth-bearer-value' }).fill(token);
  await docs
    .locator('.auth-btn-wrapper')
    .getByRole('button', { name: 'Apply credentials' })
    .click();
  await docs.locator('.auth-btn-wrapper').getByRole('button', { name: 'Close' }).click();
  await call(
    docs,
    'Users',
    'createUser',
    JSON.stringify({ email: 'grace@example.com', name: 'Grace' }, null, 2),
  );
  await picture(docs, 'swagger-create-user');

  const logs = await openPage(browser);
  await logs.goto(stack.firehose);
  await logs.getByText('/users').first().waitFor();
  await picture(logs, 'log-viewer');

  await sideBySide(browser, ['swagger-register', 'mailbox', 'log-viewer']);
}

async function openPage(browser: Browser): Promise<Page> {
  const page = await browser.newPage({ viewport, deviceScaleFactor: 1 });
  page.setDefaultTimeout(15_000);
  page.on('pageerror', (error) => {
    throw new Error(`${page.url()} has a script error: ${error.message}`);
  });
  page.on('console', (message) => {
    if (message.type() === 'error') process.stderr.write(`${page.url()}: ${message.text()}\n`);
  });
  return page;
}

/** Runs one operation in Swagger UI and resolves to the body of the answer. */
async function call(page: Page, tag: string, operationId: string, body: string): Promise<string> {
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
  return response.text();
}

async function picture(page: Page, name: string): Promise<void> {
  const path = resolve(pictures, `${name}.png`);
  await page.screenshot({ path });
  process.stdout.write(`${path}\n`);
}

/** The README's picture: three pages on one canvas. */
async function sideBySide(browser: Browser, names: readonly string[]): Promise<void> {
  const page = await browser.newPage({
    viewport: { width: 1_800, height: 520 },
    deviceScaleFactor: 1,
  });
  const shots = await Promise.all(
    names.map(async (name) =>
      (await readFile(resolve(pictures, `${name}.png`))).toString('base64'),
    ),
  );
  await page.setContent(
    `<body style="margin:0;padding:24px;display:flex;gap:24px;background:#e8ecf3">${shots
      .map(
        (shot) =>
          `<img src="data:image/png;base64,${shot}" style="width:0;flex:1;border-radius:8px;box-shadow:0 2px 14px #0003">`,
      )
      .join('')}</body>`,
  );
  await writeFile(readmePicture, await page.locator('body').screenshot());
  process.stdout.write(`${readmePicture}\n`);
}
