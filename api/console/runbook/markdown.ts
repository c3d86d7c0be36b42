import { Html, markup } from '../../http/page.js';

/**
 * Renders the Markdown that the runbook is written in: headings, paragraphs, lists, tables, code and links. Not Markdown in
 * general; the runbook is our own text.
 */
export function renderMarkdown(text: string): Html {
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  const html: string[] = [];
  for (let at = 0; at < lines.length;) {
    const block = blockAt(lines, at);
    html.push(block.html);
    at = block.end;
  }
  return new Html(html.join('\n'));
}

interface Block {
  readonly html: string;
  /** The line after it. */
  readonly end: number;
}

const LIST_ITEM = /^( *)(?:[-*]|\d{1,3}\.) +/;

function blockAt(lines: readonly string[], at: number): Block {
  const line = lines[at] ?? '';
  if (line.trim() === '') return { html: '', end: at + 1 };
  if (line.startsWith('```')) return codeAt(lines, at);
  if (line.startsWith('#')) return { html: heading(line), end: at + 1 };
  if (line.startsWith('|')) return tableAt(lines, at);
  if (LIST_ITEM.test(line)) return listAt(lines, at);
  const end = endOf(
    lines,
    at,
    (each) => each.trim() === '' || /^(?:```|#|\|)/.test(each) || LIST_ITEM.test(each),
  );
  return { html: markup`<p>${inline(lines.slice(at, end).join(' '))}</p>`.text, end };
}

/** The first line at or after `at` where the block is over. */
function endOf(lines: readonly string[], at: number, isOver: (line: string) => boolean): number {
  let end = at + 1;
  while (end < lines.length && !isOver(lines[end] ?? '')) end += 1;
  return end;
}

function codeAt(lines: readonly string[], at: number): Block {
  const end = endOf(lines, at, (line) => line.startsWith('```'));
  const code = lines.slice(at + 1, end).join('\n');
  return { html: markup`<pre tabindex="0">${code}</pre>`.text, end: end + 1 };
}

/** Ids are those of GitHub, so that one link fits both. */
function heading(line: string): string {
  const [marks = '#'] = /^#+/.exec(line) ?? [];
  const text = line.slice(marks.length).trim();
  const tag = new Html(`h${Math.min(marks.length, 4)}`);
  return markup`<${tag} id="${anchorOf(text)}">${inline(text)}</${tag}>`.text;
}

/** The anchor that GitHub gives to a heading. */
export const anchorOf = (text: string): string =>
  text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-');

function tableAt(lines: readonly string[], at: number): Block {
  const end = endOf(lines, at, (line) => !line.startsWith('|'));
  const [head = [], , ...rows] = lines.slice(at, end).map(cellsOf);
  const columns = head.map(
    (cell) => markup`<th scope="col" role="columnheader">${inline(cell)}</th>`,
  );
  const body = rows.map(
    (cells) =>
      markup`<tr role="row">${cells.map((cell, i) => markup`<td role="cell" data-label="${head[i]?.replaceAll('`', '')}">${inline(cell)}</td>`)}</tr>`,
  );
  const html = markup`<table role="table"><thead role="rowgroup"><tr role="row">${columns}</tr></thead><tbody role="rowgroup">${body}</tbody></table>`;
  return { html: html.text, end };
}

/** `\|` is a character of a cell. */
const cellsOf = (line: string): string[] =>
  line
    .replaceAll(String.raw`\|`, '\0')
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll('\0', '|'));

function listAt(lines: readonly string[], at: number): Block {
  const isOrdered = /^ *\d/.test(lines[at] ?? '');
  const items: string[] = [];
  let end = at;
  for (; end < lines.length; end += 1) {
    const line = lines[end] ?? '';
    if (LIST_ITEM.test(line)) items.push(line.replace(LIST_ITEM, ''));
    else if (/^ +\S/.test(line) && items.length > 0)
      items.push(`${items.pop() ?? ''} ${line.trim()}`);
    else break;
  }
  const tag = new Html(isOrdered ? 'ol' : 'ul');
  return {
    html: markup`<${tag}>${items.map((item) => markup`<li>${inline(item)}</li>`)}</${tag}>`.text,
    end,
  };
}

/** Code first: what stands in it is text. Links lead to the page itself or to the outside; others are left as their text. */
function inline(text: string): Html {
  const parts = text.split('`');
  // An odd number of backticks: the last one is a character.
  const isBalanced = parts.length % 2 === 1;
  return new Html(
    parts
      .map((part, i) => {
        const isCode = i % 2 === 1 && (isBalanced || i < parts.length - 1);
        return isCode ? markup`<code>${part}</code>`.text : links(part);
      })
      .join(''),
  );
}

/** A link whose text holds code is split by {@link inline}: its ends are then in two parts, and stay as they are. */
function links(text: string): string {
  return markup`${text}`.text
    .replaceAll(/\[([^[\]]{1,300})\]\(([^()\s]{1,300})\)/g, (_all, label: string, target: string) =>
      /^(?:#|https?:)/.test(target) ? `<a href="${target}">${label}</a>` : label,
    )
    .replaceAll(/\*\*([^*]{1,300})\*\*/g, '<strong>$1</strong>')
    .replaceAll(/\*([^*]{1,300})\*/g, '<em>$1</em>');
}
