import type { Response } from 'express';
import { createHash } from 'node:crypto';
import { Html, markup } from '../../http/page.js';
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
  const hash = createHash('sha256').update(styles).digest('base64');
  res.setHeader(
    'Content-Security-Policy',
    `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
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
<link rel="icon" href="data:,">
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
