import type { Request, Response } from 'express';
import { product } from '../../../shared/config/version.js';
import { Html, markup, type HtmlValue } from '../../http/page.js';
import { sessionOf } from '../session.js';
import { assets } from './assets.js';
import { clip } from './format.js';
import { formToken } from './parts.js';
import { icons } from './icons.js';

/** Only this origin's files: no inline script or style, and nothing from elsewhere. */
export const CONSOLE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const sections = [
  ['overview', 'Overview', '/ops'],
  ['mail', 'Mail', '/ops/mail'],
  ['admins', 'Admins', '/ops/admins'],
  ['schedule', 'Schedule', '/ops/schedule'],
  ['audit', 'Audit', '/ops/audit'],
] as const;

export type SectionName = (typeof sections)[number][0];

/** A page behind the login. */
export interface ConsolePage {
  readonly title: string;
  /** Marked in the navigation. */
  readonly section?: SectionName;
  /** Below the title, in one sentence. */
  readonly lead?: HtmlValue;
  readonly body: HtmlValue;
  /** The query of the live updates that replace sections of this page. */
  readonly live?: string;
  /** Left out where the body begins with a heading of its own. */
  readonly hasOwnHeading?: boolean;
}

/** Sends a page of the console. */
export function sendConsolePage(
  req: Request,
  res: Response,
  page: ConsolePage,
  status = 200,
): void {
  res
    .status(status)
    .type('html')
    .send(renderConsolePage(req, res, page).text);
}

/** Which deployment this is; set by the console's first middleware. */
const environmentOf = ({ locals }: Response): string => String(locals['environment'] ?? '');

function renderConsolePage(req: Request, res: Response, page: ConsolePage): Html {
  const live = page.live === undefined ? '' : `/ops/live?${page.live}`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="${icons.favicon}">
<link rel="stylesheet" href="/ops${assets.styles.path}">
<script type="module" src="/ops${assets.script.path}"></script>
<title>${page.title} · Rollcall console</title>
</head>
<body data-live="${live}" data-now="${new Date().toISOString()}">
<a class="skip" href="#main">Skip to the content</a>
${renderBar(req, environmentOf(res), page)}
<main id="main" tabindex="-1">
${page.hasOwnHeading !== true && markup`<header class="head"><h1>${page.title}</h1>${page.lead !== undefined && markup`<p class="lead">${page.lead}</p>`}</header>`}
${page.body}
</main>
<footer class="foot">
${page.live !== undefined && markup`<p class="live">Live</p>`}
<p>Rollcall ${product.version} · times are UTC · <a href="/ops/runbook">Runbook</a></p>
</footer>
</body>
</html>
`;
}

function renderBar(req: Request, environment: string, page: ConsolePage): Html {
  const session = sessionOf(req);
  const links = sections.map(
    ([name, label, href]) =>
      markup`<li><a href="${href}"${name === page.section && new Html(' aria-current="page"')}>${icons[name]}<span>${label}</span></a></li>`,
  );
  return markup`<header class="bar">
<div class="bar-in">
<a class="brand" href="/ops"><b>Rollcall</b> <span class="env">${environment}</span></a>
<nav aria-label="Console"><ul>${links}</ul></nav>
<form class="who" method="post" action="/ops/logout">${formToken(session)}
<span class="name" title="${clip(session.admin.email, 254)}">${clip(session.admin.name, 100)}${session.isReadOnly && markup` <em>read-only</em>`}</span>
<button class="quiet small" type="submit">Log out</button></form>
</div>
${page.live !== undefined && lostNotice}
</header>`;
}

/** What the script says while live updates are lost; below the bar, so that it is in sight wherever the page is scrolled to. */
const lostNotice = markup`<div class="lost"><p id="live" role="status"></p>
<p id="shown" hidden>Last update: <time class="ago"></time>. <a href=""></a></p></div>`;
