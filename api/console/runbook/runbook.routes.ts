import { readFile } from 'node:fs/promises';
import { Router } from 'express';
import { projectRoot } from '../../../shared/config/project-root.js';
import { AppError } from '../../../shared/errors/app-error.js';
import { markup, type Html } from '../../http/page.js';
import { sendConsolePage } from '../layout/console-page.js';
import { anchorOf, renderMarkdown } from './markdown.js';

const FILE = new URL('dist/api/console/runbook.md', projectRoot);

/** The runbook of this release: it can be read when nothing else answers. */
export function runbookRoutes(): Router {
  const router = Router();
  let page: Promise<Html> | undefined;

  router.get('/runbook', async (req, res) => {
    page ??= readFile(FILE, 'utf8').then(renderRunbook);
    const body = await page.catch((error: unknown) => {
      page = undefined;
      throw new AppError('not_found', { detail: 'This build has no runbook.', cause: error });
    });
    sendConsolePage(req, res, { title: 'Runbook', body });
  });
  return router;
}

/** The runbook begins with the sections that matter most; the list of all is folded. */
function renderRunbook(text: string): Html {
  const titles = [...text.matchAll(/^## (.+)$/gm)].map(([, title = '']) => title);
  const contents = titles.map(
    (title) => markup`<li><a href="#${anchorOf(title)}">${title.replaceAll('`', '')}</a></li>`,
  );
  return markup`<nav class="contents" aria-label="Sections"><details><summary>All sections</summary><ul>${contents}</ul></details></nav>
<div class="prose">${renderMarkdown(text.replace(/^# .+$/m, ''))}</div>`;
}
