import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

/** What a run of ava came to. */
export interface AvaResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const passedLine = /^ {2}\u2714 (?:(?<file>.+) \u203A )?/u;
const failedLine = /^ {2}\u2718 /u;
const skippedLine = /^ {2}- \[(?:skip|todo)\] /u;

/**
 * Counts the results in ava's report and tells `print` what a reader wants to see of it: each test file once, when its
 * first test passes, and every failure in full. (Its TAP output would be easier to read, but leaves out where a test failed.)
 */
export async function readAva(
  report: NodeJS.ReadableStream,
  print: (line: string) => void,
): Promise<AvaResult> {
  const files = new Set<string>();
  const result = { passed: 0, failed: 0, skipped: 0 };
  for await (const coloured of createInterface({ input: report })) {
    const line = stripVTControlCharacters(coloured);
    const pass = passedLine.exec(line);
    if (pass !== null) {
      result.passed += 1;
      const file = pass.groups?.['file'];
      if (file !== undefined && !files.has(file)) print(file);
      if (file !== undefined) files.add(file);
      continue;
    }
    if (failedLine.test(line)) result.failed += 1;
    if (skippedLine.test(line)) result.skipped += 1;
    if (line !== '' || result.failed > 0) print(line.slice(2));
  }
  return result;
}
