/** A longer line is cut: Firehose refuses a record over 1,000 KiB, and OpenSearch is no place for one. */
const MAX_LINE_BYTES = 256 * 1_024;
const MAX_TEXT_LENGTH = 1_024;

/** The line as it may be shipped: itself, or one JSON object within 256 KiB that says it was cut. */
export function cutLine(line: string): string {
  // A UTF-16 unit is at most three bytes: most lines need not be measured.
  if (line.length * 3 <= MAX_LINE_BYTES || Buffer.byteLength(line) <= MAX_LINE_BYTES) return line;
  const record: Record<string, unknown> = { 'labels.cut': true };
  let bytes = Buffer.byteLength(`${JSON.stringify(record)}\n`);
  for (const [field, value] of fieldsOf(line)) {
    if (typeof value === 'object') continue;
    const kept = typeof value === 'string' ? shorten(value) : value;
    const added = Buffer.byteLength(`,${JSON.stringify(field)}:${JSON.stringify(kept)}`);
    if (bytes + added > MAX_LINE_BYTES) continue;
    record[field] = kept;
    bytes += added;
  }
  return `${JSON.stringify(record)}\n`;
}

/** What every line has comes first, what belongs to this one alone last. */
function fieldsOf(line: string): [string, unknown][] {
  try {
    const fields = Object.entries(JSON.parse(line) as Record<string, unknown>);
    return fields.toSorted(([one], [other]) => Number(isLabel(one)) - Number(isLabel(other)));
  } catch {
    return [['message', line.trimEnd()]];
  }
}

const isLabel = (field: string): boolean => field.startsWith('labels.');

/** Not in the middle of a character. */
const shorten = (text: string): string =>
  text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH).toWellFormed()}…` : text;
