/** Without the `=` of a soft line break (RFC 2045, 6.7). */
const MAX_LINE = 75;

/** Encodes text in UTF-8 as quoted-printable (RFC 2045, 6.7), with CRLF between its lines. */
export type QuotedPrintableEncoder = (text: string) => string;

/** An encoder for texts that are much alike: it remembers the lines of the last one. */
export function createQuotedPrintableEncoder(): QuotedPrintableEncoder {
  let last: { readonly lines: readonly string[]; readonly encoded: readonly string[] } = {
    lines: [],
    encoded: [],
  };
  return (text) => {
    const lines = text.split(/\r\n|\r|\n/);
    const encoded = lines.map((line, i) =>
      line === last.lines[i] ? (last.encoded[i] ?? '') : encodeLine(line),
    );
    last = { lines, encoded };
    return encoded.join('\r\n');
  };
}

const encodeLine = (line: string): string =>
  wrap(
    line
      .replaceAll('=', '=3D')
      .replaceAll(/[^\t\x20-\x7e]+/g, escapeBytes)
      .replace(/[\t ]$/, escapeBytes),
  );

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
