import { resolve } from 'node:path';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import * as z from 'zod';
import { readDevEnv } from '../env.js';
import { projectRoot } from '../paths.js';

export const screenshotsFolder = resolve(readDevEnv().dataDir, 'tour');
/** Where the README's screenshots go: to docs/images only when that is asked for. */
export const readmeFolder = (isWritten: boolean): string =>
  isWritten ? resolve(projectRoot, 'docs/images') : resolve(screenshotsFolder, 'readme');

/** A page of its own; a script error ends the tour, and what the browser complains of is shown. */
export async function openPage(browser: Browser, options: BrowserContextOptions): Promise<Page> {
  const page = await browser.newPage({ deviceScaleFactor: 2, ...options });
  page.setDefaultTimeout(15_000);
  page.on('pageerror', (error) => {
    throw new Error(`${page.url()} has a script error: ${error.message}`);
  });
  page.on('console', (message) => {
    if (message.type() === 'error') process.stderr.write(`${page.url()}: ${message.text()}\n`);
  });
  return page;
}

/** A screenshot of what is in view. */
export async function screenshot(page: Page, name: string): Promise<void> {
  const path = resolve(screenshotsFolder, `${name}.png`);
  await page.screenshot({ path });
  process.stdout.write(`${path}\n`);
}

/** A screenshot of one element in a file, cropped at the bottom to `shape` (height by width) if it is given. */
export async function elementScreenshot(
  part: Locator,
  path: string,
  shape?: number,
): Promise<void> {
  const page = part.page();
  const box = await part.boundingBox();
  if (box === null) throw new Error(`The element of ${path} is not visible`);
  const y = box.y + z.number().parse(await page.evaluate('window.scrollY'));
  const height = shape === undefined ? box.height : Math.min(box.height, shape * box.width);
  await page.screenshot({ path, fullPage: true, clip: { ...box, y, height } });
  process.stdout.write(`${path}\n`);
}
