import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RequestHandler, Response } from 'express';
import { isForm } from './input/body.js';
import { escapeHtml } from '../../shared/escape-html.js';
import { allowPage } from './security-headers.js';

/** Safe HTML. */
export class Html {
  constructor(readonly text: string) {}
}

/** What a template may hold; `undefined`, `null` and `false` are nothing. */
export type HtmlValue = string | number | Html | readonly Html[] | undefined | null | false;

/** A template tag for HTML: escapes every value that is not {@link Html}. */
export function markup(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(strings.reduce((text, part, i) => text + toHtml(values[i - 1]) + part));
}

function toHtml(value: HtmlValue): string {
  if (value === undefined || value === null || value === false) return '';
  if (value instanceof Html) return value.text;
  return typeof value === 'object'
    ? value.map(({ text }) => text).join('')
    : escapeHtml(String(value));
}

const STYLES = `
:root { color-scheme: light dark; --ink: #1a1f2b; --soft: #5a6475; --paper: #fff; --back: #f3f5f9; --line: #dfe4ec; --accent: #2f5fe0; --on-accent: #fff; --refusal: #b3261e }
@media (prefers-color-scheme: dark) { :root { --ink: #e9edf5; --soft: #a3adbf; --paper: #1a202c; --back: #11151d; --line: #2c3545; --accent: #86a8ff; --on-accent: #0d1526; --refusal: #ff8a80 } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 24px 16px; background: var(--back); color: var(--ink); font: 17px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
main { width: 100%; max-width: 30rem; background: var(--paper); border: 1px solid var(--line); border-radius: 14px; padding: 36px 32px }
.brand { margin: 0 0 20px; color: var(--soft); font-size: 14px; font-weight: 600; letter-spacing: .04em; text-transform: uppercase }
h1 { margin: 0 0 12px; font-size: 26px; line-height: 1.25 }
h2 { margin: 28px 0 8px; font-size: 19px }
p { margin: 0 0 18px }
.refusal { padding: 10px 14px; border-left: 4px solid var(--refusal); background: var(--back) }
.soft { color: var(--soft); font-size: 15px; margin: 18px 0 0 }
label { display: block; margin: 0 0 6px; font-weight: 600; font-size: 15px }
input[type=text], input[type=email], input[type=password] { width: 100%; min-height: 48px; margin: 0 0 16px; padding: 0 14px; font: inherit; color: inherit; background: transparent; border: 1px solid var(--soft); border-radius: 9px }
button, .button { display: block; width: 100%; min-height: 50px; padding: 12px 18px; border: 0; border-radius: 9px; background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; text-align: center; text-decoration: none; cursor: pointer }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px }
a { color: var(--accent) }
ul { margin: 0 0 18px; padding-left: 20px }
.button + ul { margin-top: 22px }
code { font-size: .92em }
`;

export interface Page {
  readonly title: string;
  readonly body: Html;
}

/** Sends a page: plain, accessible, without scripts and without external resources. */
export function sendPage(res: Response, status: number, page: Page): void {
  res.status(status).send(renderPage(res, page));
}

/** The bytes of a page; sets the headers that it needs. */
export function renderPage(res: ServerResponse, { title, body }: Page): Buffer {
  allowPage(res, STYLES);
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  const page = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title} · Rollcall</title>
<style>${new Html(STYLES)}</style>
</head>
<body>
<main>
<p class="brand">Rollcall</p>
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`;
  return Buffer.from(page.text);
}

/** A form with an e-mail address as its only field. */
export const emailForm = ({ action, button }: { action: string; button: string }): Html =>
  markup`<form method="post" action="${action}">
<label for="email">E-mail address</label>
<input type="email" id="email" name="email" required autocomplete="email" />
<button type="submit">${button}</button>
</form>`;

const errorForms = new WeakMap<IncomingMessage, () => Html>();

/**
 * For routes that take HTML forms: errors are answered by a page. Must come before all middleware that may reject the
 * request.
 * @param form the form that the error page shows, to start again.
 */
export const answerFormsWithPages =
  (form: () => Html): RequestHandler =>
  (req, _res, next) => {
    if (isForm(req)) errorForms.set(req, form);
    next();
  };

/** The form for an error page; `undefined` when the error is answered by a problem document. */
export const formOf = (req: IncomingMessage): Html | undefined => errorForms.get(req)?.();
