/** Firehose rejects records over 1,000 KiB, and documents of that size do not belong in OpenSearch. */
const MAX_LINE_BYTES = 256 * 1_024;
const MAX_TEXT_LENGTH = 1_024;

/** Returns the line itself, or one JSON object within 256 KiB that is marked by `labels.cut`. */
export function truncateLine(line: string): string {
  // A UTF-16 unit takes at most three bytes in UTF-8, so most lines need not be measured.
  if (line.length * 3 <= MAX_LINE_BYTES || Buffer.byteLength(line) <= MAX_LINE_BYTES) return line;
  const record: Record<string, unknown> = { 'labels.cut': true };
  let bytes = Buffer.byteLength(`${JSON.stringify(record)}\n`);
  for (const [field, value] of fieldsOf(line)) {
    if (typeof value === 'object') continue;
    const kept = typeof value === 'string' ? truncateText(value) : value;
    const added = Buffer.byteLength(`,${JSON.stringify(field)}:${JSON.stringify(kept)}`);
    if (bytes + added > MAX_LINE_BYTES) continue;
    record[field] = kept;
    bytes += added;
  }
  return `${JSON.stringify(record)}\n`;
}

/** Fields that every line has come first, labels last: those are left out first. */
function fieldsOf(line: string): [string, unknown][] {
  try {
    const fields = Object.entries(JSON.parse(line) as Record<string, unknown>);
    return fields.toSorted(([one], [other]) => Number(isLabel(one)) - Number(isLabel(other)));
  } catch {
    return [['message', line.trimEnd()]];
  }
}

const isLabel = (field: string): boolean => field.startsWith('labels.');

/** Does not split a surrogate pair. */
const truncateText = (text: string): string =>
  text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH).toWellFormed()}…` : text;
