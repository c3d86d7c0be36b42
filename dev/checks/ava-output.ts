import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

/** What a run of ava came to. */
export interface AvaResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Seconds by test file: what its tests took, one after another. */
  readonly seconds: ReadonlyMap<string, number>;
}

const passedLine = /^ {2}\u2714 (?:(?<file>.+?) \u203A (?=[^\u203A]*$))?/u;
const durationAtEnd = /\((?:(\d+)m )?([\d.]+)(ms|s)\)$/;
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
  const seconds = new Map<string, number>();
  const result = { passed: 0, failed: 0, skipped: 0, seconds };
  for await (const coloured of createInterface({ input: report })) {
    const line = stripVTControlCharacters(coloured);
    const pass = passedLine.exec(line);
    if (pass !== null) {
      result.passed += 1;
      const file = pass.groups?.['file'];
      if (file === undefined) continue;
      if (!seconds.has(file)) print(file);
      seconds.set(file, (seconds.get(file) ?? 0) + secondsOf(line));
      continue;
    }
    if (failedLine.test(line)) result.failed += 1;
    if (skippedLine.test(line)) result.skipped += 1;
    if (line !== '' || result.failed > 0) print(line.slice(2));
  }
  return result;
}

/** Ava tells how long a test took if that was more than a moment. */
function secondsOf(line: string): number {
  const [, minutes = '0', amount = '0', unit] = durationAtEnd.exec(line) ?? [];
  return Number(minutes) * 60 + Number(amount) / (unit === 'ms' ? 1_000 : 1);
}
