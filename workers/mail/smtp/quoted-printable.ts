/** Without the `=` of a soft line break (RFC 2045, 6.7). */
const MAX_LINE = 75;

/** Text in UTF-8 as quoted-printable (RFC 2045, 6.7), with CRLF between its lines. */
export function encodeQuotedPrintable(text: string): string {
  const escaped = text
    .replaceAll('=', '=3D')
    .replaceAll(/[^\t\n\r\x20-\x7e]+/g, escapeBytes)
    .replaceAll(/[\t ](?=[\r\n]|$)/g, escapeBytes);
  return escaped
    .split(/\r\n|\r|\n/)
    .map(wrap)
    .join('\r\n');
}

const escapeBytes = (text: string): string =>
  Buffer.from(text)
    .toString('hex')
    .toUpperCase()
    .replaceAll(/../g, (byte) => `=${byte}`);

/** Breaks a long line softly, never within an escaped byte. */
function wrap(line: string): string {
  if (line.length <= MAX_LINE + 1) return line;
  let wrapped = '';
  let start = 0;
  while (line.length - start > MAX_LINE + 1) {
    let end = start + MAX_LINE;
    if (line[end - 1] === '=') end -= 1;
    else if (line[end - 2] === '=') end -= 2;
    wrapped += `${line.slice(start, end)}=\r\n`;
    start = end;
  }
  return wrapped + line.slice(start);
}
