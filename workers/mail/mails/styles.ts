/**
 * Somebody else's words as they may be shown in a mail: on one line, not too long, and so that no mail program turns
 * them into a link. Who registers chooses a name, and a stranger may be the one who reads it.
 */
export function quoteStranger(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim();
  const short = [...line].length > 80 ? `${[...line].slice(0, 79).join('')}…` : line;
  // The word joiner is invisible and ends what looks like an address.
  return short.replace(/(?<=[\p{L}\p{N}])[.:@](?=[\p{L}\p{N}/])/gu, '$&\u2060');
}

const FONT =
  "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif";
const ACCENT = '#1d4ed8';

const text = (size: number, line: number, color: string): string =>
  `font-family:${FONT};font-size:${size}px;line-height:${line}px;color:${color};`;

/** The look of every mail; the sheet adds what inline styles cannot say: small screens and the dark. */
export const styles = {
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
