import { escapeHtml } from '../../../shared/html/escape-html.js';
import { styles } from './styles.js';

/** One piece of a mail, told the same in text and in HTML. */
export type MailBlock =
  | { readonly kind: 'paragraph'; readonly text: string }
  | { readonly kind: 'button'; readonly label: string; readonly url: string }
  /** An address to copy, for those whose mail program shows no buttons. */
  | { readonly kind: 'address'; readonly label: string; readonly url: string }
  | { readonly kind: 'aside'; readonly title: string; readonly text: string };

/** What a mail says. */
export interface MailContent {
  /** Who is writing. */
  readonly service: string;
  readonly subject: string;
  /** Shown beside the subject in a list of mails. */
  readonly preview: string;
  readonly blocks: readonly MailBlock[];
  readonly footer: string;
}

/** A mail's readable parts: two forms of the same content. */
export interface RenderedMail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/**
 * Renders a mail as plain text and as HTML. The HTML is one column of tables with inline styles, because that is what
 * every mail program shows; it loads nothing from anywhere. All texts are escaped here.
 */
export function renderMail(content: MailContent): RenderedMail {
  return { subject: content.subject, text: renderText(content), html: renderHtml(content) };
}

function renderText({ subject, blocks, footer }: MailContent): string {
  const buttons = blocks.filter(({ kind }) => kind === 'button');
  // In text a button is its address already.
  const isRepeated = (block: MailBlock): boolean =>
    block.kind === 'address' &&
    buttons.some((button) => 'url' in button && button.url === block.url);
  const parts = blocks
    .filter((block) => !isRepeated(block))
    .map((block) => {
      switch (block.kind) {
        case 'paragraph':
          return block.text;
        case 'button':
          return `${block.label}:\n${block.url}`;
        case 'address':
          return `${block.label}\n${block.url}`;
        case 'aside':
          return `${block.title}\n${block.text}`;
      }
    });
  return `${[subject, ...parts, `-- \n${footer}`].join('\n\n')}\n`;
}

function renderHtml({ service, subject, preview, blocks, footer }: MailContent): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no">
<title>${escapeHtml(subject)}</title>
<style>${styles.sheet}</style>
</head>
<body class="page" style="${styles.page}">
<div style="${styles.preview}">${escapeHtml(preview)}${'&#847;&zwnj;&nbsp;'.repeat(60)}</div>
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="${styles.frame}">
<tr><td align="center" class="gutter" style="${styles.gutter}">
<!--[if mso]><table role="presentation" width="560" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" style="${styles.card}">
<tr><td class="inner" style="${styles.inner}">
<p class="soft" style="${styles.brand}">${escapeHtml(service)}</p>
<h1 class="ink" style="${styles.heading}">${escapeHtml(subject)}</h1>
${blocks.map(blockHtml).join('\n')}
</td></tr>
</table>
<p class="faint" style="${styles.footer}">${escapeHtml(footer)}</p>
<!--[if mso]></td></tr></table><![endif]-->
</td></tr>
</table>
</body>
</html>
`;
}

function blockHtml(block: MailBlock): string {
  switch (block.kind) {
    case 'paragraph':
      return `<p class="ink" style="${styles.paragraph}">${escapeHtml(block.text)}</p>`;
    case 'button':
      return `<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="${styles.buttonBox}">
<tr><td class="accent" bgcolor="${styles.accent}" align="center" style="${styles.buttonCell}"><a href="${escapeHtml(block.url)}" class="accent" style="${styles.button}">${escapeHtml(block.label)}</a></td></tr>
</table>`;
    case 'address':
      return `<p class="soft" style="${styles.small}">${escapeHtml(block.label)}<br>
<a href="${escapeHtml(block.url)}" class="link" style="${styles.link}">${escapeHtml(block.url)}</a></p>`;
    case 'aside':
      return `<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="${styles.asideBox}">
<tr><td class="line" style="${styles.aside}"><p class="soft" style="${styles.small}"><strong class="ink" style="${styles.asideTitle}">${escapeHtml(block.title)}</strong><br>
${escapeHtml(block.text)}</p></td></tr>
</table>`;
  }
}
