import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import * as z from 'zod';
import { openPage, screenshot } from './browser.js';

/** Where the console is, and who may log in. */
export interface ConsoleStack {
  readonly api: string;
  readonly console: string;
  readonly operator: { readonly email: string; readonly password: string };
}

/** How somebody may look at the console. */
const looks: Readonly<Record<string, BrowserContextOptions>> = {
  desk: { viewport: { width: 1_180, height: 900 }, colorScheme: 'light' },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: 'light', isMobile: true },
  dark: { viewport: { width: 1_180, height: 900 }, colorScheme: 'dark' },
};

const REASON = 'her mailbox exists now';

/**
 * Walks an operator's way at a desk, on a telephone and in the dark: log in, find a mail by its address, read why it was
 * refused, redrive it, see it delivered, see the decision in the audit. On every page axe must find nothing serious.
 */
export async function tourConsole(
  browser: Browser,
  stack: ConsoleStack,
  readmeFolder: string,
): Promise<void> {
  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  for (const [look, options] of Object.entries(looks)) {
    const page = await openPage(browser, options);
    const seen = (name: string): Promise<void> =>
      examine(page, axe, `console-${look}-${name}`, readmeFolder);
    await walk(page, stack, seen);
    await page.context().close();
  }
}

async function walk(
  page: Page,
  { api, console: url, operator }: ConsoleStack,
  seen: (name: string) => Promise<void>,
): Promise<void> {
  const address = `refuse-once-${Date.now() % 1_000_000}@example.com`;
  await register(api, address);

  await page.goto(url);
  await page.getByLabel('E-mail address').fill(operator.email);
  await page.getByLabel('Password').fill(operator.password);
  await seen('login');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.locator('#verdict-title').waitFor();
  await page.locator('body[data-state=live]').waitFor();
  await seen('overview');

  await open(page, 'Mail');
  await seen('mail');
  await find(page, address);
  await seen('address');
  await page.getByRole('link', { name: 'confirmation mail' }).click();
  await page.locator('.reply', { hasText: /^550 / }).first().waitFor();
  await seen('refused');

  await page.getByRole('link', { name: 'Redrive…' }).click();
  await page.getByLabel('Reason').fill(REASON);
  await seen('question');
  await page.getByRole('button', { name: 'Redrive it' }).click();
  // Nobody reloads the page: the live updates bring it.
  await page.locator('.story .what', { hasText: 'Delivered' }).waitFor();
  await page.getByText(REASON).waitFor();
  await seen('delivered');

  await open(page, 'Audit');
  await page
    .getByRole('row', { name: 'mail redriven' })
    .filter({ hasText: REASON })
    .first()
    .waitFor();
  await seen('audit');

  for (const name of ['Admins', 'Schedule']) {
    await open(page, name);
    await seen(name.toLowerCase());
  }
  for (const path of ['/mail/dead', '/mail/suppressions', '/queues', '/runbook', '/admins/1']) {
    await page.goto(`${url}${path}`);
    await seen(path.slice(1).replace('/', '-'));
  }
  await endSession(page, url);
  await seen('outdated');
  await page.getByRole('link', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'Log in' }).waitFor();
}

/** Ends the session while the page shows the overview, scrolled down: it must say so in sight. */
async function endSession(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.locator('body[data-state=live]').waitFor();
  await page.evaluate('scrollTo(0, 600)');
  const csrf = await page.locator('.who [name=csrf]').inputValue();
  await page.request.post(`${url}/logout`, {
    form: { csrf },
    headers: { origin: new URL(url).origin },
  });
  const notice = page.getByText('Outdated: your session has ended.');
  await notice.waitFor();
  const box = await notice.boundingBox();
  if (!box || box.y < 0 || box.y > 200) throw new Error('The notice is out of sight');
}

const open = (page: Page, section: string): Promise<void> =>
  page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: section }).click();

/** The mail may still be under way. */
async function find(page: Page, address: string): Promise<void> {
  for (let attempt = 1; attempt <= 20; attempt += 1) {
    await page.getByRole('searchbox').first().fill(address);
    await page.getByRole('button', { name: 'Find' }).click();
    const dead = page.locator('.badge', { hasText: 'dead letter' });
    if (await dead.first().isVisible()) return;
    await page.waitForTimeout(500);
  }
  throw new Error(`The mail to ${address} did not become a dead letter`);
}

async function register(api: string, email: string): Promise<void> {
  const response = await fetch(`${api}/auth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, name: `Tour ${email}`, password: 'a tour needs no map' }),
  });
  if (!response.ok) throw new Error(`Registering was answered with ${response.status}`);
}

const Violations = z.array(z.object({ id: z.string(), impact: z.string().nullable() }));

/** Takes a screenshot, and has axe examine the page. @throws for what is serious, and for a page wider than its window. */
async function examine(page: Page, axe: string, name: string, readmeFolder: string): Promise<void> {
  await screenshot(page, name);
  if (name === 'console-desk-overview')
    await page.screenshot({ path: `${readmeFolder}/console.png` });
  if (name === 'console-phone-delivered')
    await page.screenshot({ path: `${readmeFolder}/console-phone.png` });
  await page.evaluate(axe);
  const found = Violations.parse(
    await page.evaluate('axe.run().then(({ violations }) => violations)'),
  );
  const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  if (serious.length > 0)
    throw new Error(`${name}: axe found ${serious.map(({ id }) => id).join(', ')}`);
  // Not `innerWidth`: a telephone's grows with a page that is too wide.
  const width = z.number().parse(await page.evaluate('document.documentElement.scrollWidth'));
  if (width > (page.viewportSize()?.width ?? 0))
    throw new Error(`${name} is wider than its window`);
}
