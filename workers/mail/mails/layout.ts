import { escapeHtml } from '../../../shared/escape-html.js';

/** One part of a mail, with the same content in text and in HTML. */
export type MailBlock =
  | { readonly kind: 'paragraph'; readonly text: string }
  | { readonly kind: 'button'; readonly label: string; readonly url: string }
  /** An address to copy, for those whose mail program shows no buttons. */
  | { readonly kind: 'address'; readonly label: string; readonly url: string }
  | { readonly kind: 'aside'; readonly title: string; readonly text: string };

export interface MailContent {
  /** The name of the sending service. */
  readonly service: string;
  readonly subject: string;
  /** Shown beside the subject in an inbox. */
  readonly preview: string;
  readonly blocks: readonly MailBlock[];
  readonly footer: string;
}

export interface RenderedMail {
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/**
 * Renders a mail as plain text and as HTML. The HTML is one column of tables with inline styles, because that is what
 * every mail program shows; it loads nothing. All texts are escaped here.
 */
export function renderMail(content: MailContent): RenderedMail {
  return { subject: content.subject, text: renderText(content), html: renderHtml(content) };
}

function renderText({ subject, blocks, footer }: MailContent): string {
  const buttons = blocks.filter(({ kind }) => kind === 'button');
  // In plain text a button already shows its address.
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

const FONT =
  "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
const ACCENT = '#1d4ed8';

const text = (size: number, line: number, color: string): string =>
  `font-family:${FONT};font-size:${size}px;line-height:${line}px;color:${color};`;

/** Inline styles, and a sheet for what they cannot express: small screens and dark mode. */
const styles = {
  accent: ACCENT,
  page: 'margin:0;padding:0;background-color:#f3f4f6;-webkit-text-size-adjust:100%;',
  preview: 'display:none;max-height:0;overflow:hidden;mso-hide:all;font-size:1px;line-height:1px;',
  frame: 'background-color:#f3f4f6;',
  gutter: 'padding:32px 16px;',
  card: 'max-width:560px;background-color:#ffffff;border-radius:12px;',
  inner: 'padding:32px 40px 16px;',
  brand: `margin:0 0 14px;font-weight:600;letter-spacing:.02em;${text(14, 20, '#4b5563')}`,
  heading: `margin:0 0 20px;font-weight:650;${text(24, 31, '#111827')}`,
  paragraph: `margin:0 0 20px;overflow-wrap:anywhere;${text(16, 25, '#1f2937')}`,
  buttonBox: 'margin:4px 0 24px;',
  buttonCell: `border-radius:8px;background-color:${ACCENT};mso-padding-alt:13px 28px;`,
  button: `display:inline-block;padding:13px 28px;border-radius:8px;background-color:${ACCENT};font-weight:600;text-decoration:none;${text(16, 22, '#ffffff')}`,
  small: `margin:0 0 20px;overflow-wrap:anywhere;${text(14, 22, '#4b5563')}`,
  link: `color:${ACCENT};text-decoration:underline;overflow-wrap:anywhere;word-break:break-all;`,
  asideBox: 'margin:8px 0 0;',
  aside: 'border-top:1px solid #e5e7eb;padding-top:20px;',
  asideTitle: 'font-weight:600;color:#111827;',
  footer: `max-width:560px;margin:20px auto 0;text-align:center;${text(13, 20, '#6b7280')}`,
  sheet: `
:root{color-scheme:light dark;supported-color-schemes:light dark}
@media (max-width:480px){.gutter{padding:16px 10px!important}.inner{padding:24px 22px 8px!important}}
@media (prefers-color-scheme:dark){
.page{background-color:#0b0f17!important}.card{background-color:#161c27!important}
.ink{color:#f3f4f6!important}.soft{color:#b6bfcc!important}.faint{color:#8b95a5!important}
.link{color:#93b4ff!important}.accent{background-color:#2563eb!important;color:#ffffff!important}.line{border-color:#2b3444!important}}
`,
} as const;
