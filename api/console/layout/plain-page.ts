import type { Response } from 'express';
import { Html, markup } from '../../http/page.js';
import { allowPage } from '../../http/security-headers.js';
import { readAsset } from './assets.js';

/** A page in front of the login: everything that it needs is in it, since files are served only behind. */
export interface PlainPage {
  readonly title: string;
  readonly body: Html;
  /** A path that the browser opens by itself. */
  readonly refreshTo?: string;
}

/** Sends a page without scripts and links to files; its style sheet is allowed by its hash. */
export function sendPlainPage(res: Response, status: number, page: PlainPage): void {
  const styles = `${readAsset('tokens.css')}${readAsset('plain.css')}`;
  allowPage(res, styles);
  const refresh =
    page.refreshTo !== undefined &&
    markup`<meta http-equiv="refresh" content="0;url=${page.refreshTo}">`;
  const html = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
${refresh}
<title>${page.title} · Rollcall console</title>
<style>${new Html(styles)}</style>
</head>
<body>
<main>
<p class="brand"><b>Rollcall</b> console</p>
<h1>${page.title}</h1>
${page.body}
</main>
</body>
</html>
`;
  res.status(status).type('html').send(html.text);
}
