import type { ServerResponse } from 'node:http';
import { page } from './page.js';
import { script } from './script.js';
import { style } from './style.js';

// Files as modules, so that the page is part of dist/ and of the image.
const files: Readonly<Record<string, { type: string; body: string }>> = {
  '/': { type: 'text/html; charset=utf-8', body: page },
  '/viewer.css': { type: 'text/css; charset=utf-8', body: style },
  '/viewer.js': { type: 'text/javascript; charset=utf-8', body: script },
};

/** Answers with a file of the log viewer; false if the path is not one of them. */
export function sendViewerFile(path: string, response: ServerResponse): boolean {
  const file = files[path];
  if (file === undefined) return false;
  response.writeHead(200, {
    'content-type': file.type,
    'content-security-policy':
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
  });
  response.end(file.body);
  return true;
}
