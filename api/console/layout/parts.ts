import { Html, markup, type HtmlValue } from '../../http/page.js';
import { FORM_TOKEN, type ConsoleSession } from '../session.js';

/** How something is, by word, shape and colour. */
export type Tone = 'good' | 'warn' | 'bad' | 'idle';

/** A word with a shape before it, so that it does not depend on colours. */
export const badge = (tone: Tone, word: string): Html =>
  markup`<span class="badge ${tone}">${word}</span>`;

/** A column of a table; numbers stand on the right. Numbers and short values share a line of a card. */
export interface Column {
  readonly label: string;
  readonly kind?: 'number' | 'short' | 'wide' | 'action';
}

/**
 * A table that becomes a list of cards on a narrow screen, where each value bears its column's name. The roles keep it a table
 * for screen readers in both forms.
 */
export function table(
  caption: string,
  columns: readonly Column[],
  rows: readonly (readonly HtmlValue[])[],
  empty = 'None.',
): Html {
  if (rows.length === 0) return markup`<p class="empty">${empty}</p>`;
  const head = columns.map(
    ({ label, kind = '' }) =>
      markup`<th scope="col" role="columnheader" class="${kind}">${label}</th>`,
  );
  return markup`<table role="table">
<caption>${caption}</caption>
<thead role="rowgroup"><tr role="row">${head}</tr></thead>
<tbody role="rowgroup">${rows.map((row) => rowOf(columns, row))}</tbody>
</table>`;
}

function rowOf(columns: readonly Column[], row: readonly HtmlValue[]): Html {
  const cells = row.map((value, i) => {
    const { label, kind = '' } = columns[i] ?? { label: '' };
    return i === 0
      ? markup`<th scope="row" role="rowheader" class="${kind}">${value}</th>`
      : markup`<td role="cell" class="${kind}" data-label="${label}">${value}</td>`;
  });
  return markup`<tr role="row">${cells}</tr>`;
}

/** Names and values; values that are missing are left out. */
export const facts = (pairs: readonly (readonly [name: string, value: HtmlValue])[]): Html =>
  markup`<dl class="facts">${pairs
    .filter(([, value]) => value !== undefined && value !== null && value !== false)
    .map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

/** A part of a page that live updates replace. */
export interface PagePart {
  readonly id: string;
  readonly html: Html;
}

/** A section with a heading and an id, which live updates replace. */
export const section = (id: string, title: string, body: HtmlValue, aside?: HtmlValue): Html =>
  markup`<section id="${id}" class="panel" aria-labelledby="${id}-title">
<header><h2 id="${id}-title">${title}</h2>${aside !== undefined && markup`<div class="aside">${aside}</div>`}</header>
${body}
</section>`;

/** The proof that a form was rendered for a session. */
export const formToken = ({ formToken: token }: ConsoleSession): Html =>
  markup`<input type="hidden" name="${FORM_TOKEN}" value="${token}">`;

/** Fields that a form carries on unseen. */
export const hidden = (fields: Readonly<Record<string, string | undefined>>): Html[] =>
  Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [markup`<input type="hidden" name="${name}" value="${value}">`],
  );

/** A link to the next page of a list. */
export const nextPage = (href: string | undefined): Html =>
  href === undefined
    ? new Html('')
    : markup`<p class="next"><a class="button quiet" rel="next" href="${href}">Next page</a></p>`;

/** What is said of a list, a state or a refusal, in a box. */
export const note = (tone: Tone, body: HtmlValue): Html =>
  markup`<div class="note ${tone}" role="${tone === 'bad' ? 'alert' : 'status'}">${body}</div>`;
