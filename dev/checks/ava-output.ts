import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';
import type { Failure } from './tally.js';

/** What a run of ava came to. */
export interface AvaResult {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Tests and hooks, processes that crashed or never ended, errors outside of any test, time-outs. */
  readonly failures: readonly Failure[];
  /** Seconds by test file: what the longest of its tests took. */
  readonly seconds: ReadonlyMap<string, number>;
}

const passedLine = /^ {2}\u2714 (?:(?<file>.+?) \u203A (?=[^\u203A]*$))?/u;
const durationAtEnd = /\((?:(\d+)m )?([\d.]+)(ms|s)\)$/;
const failedTest = /^ {2}\u2718 \[[a-z ]+\]: (?<title>.*)$/u;
/** Of a test file, or of the whole run: it crashed, left tests undone, or stopped at a time-out. */
const failedFile = /^ {2}(?:\u2718 (?!\[)|Uncaught exception in |Unhandled rejection in )/u;
const pendingTests = /^ {2}(?:\d+ tests were pending in |Failed to exit when running )/;
const skippedLine = /^ {2}- \[(?:skip|todo)\] /u;
/** Between the tests and the explanations of those that failed. */
const divider = '  \u2500';
const EXPLAINED_LINES = 8;

/**
 * Counts the results in ava's report and passes to `print` what a reader wants to see of it: each test file once, when
 * its first test passes, and every failure in full. (Its TAP output would be easier to read, but leaves out where a test failed.)
 */
export async function readAva(
  report: NodeJS.ReadableStream,
  print: (line: string) => void,
): Promise<AvaResult> {
  const run = { passed: 0, failed: 0, skipped: 0, seconds: new Map<string, number>() };
  const failures = createFailures();
  for await (const coloured of createInterface({ input: report })) {
    const line = stripVTControlCharacters(coloured);
    const pass = passedLine.exec(line);
    if (pass !== null) {
      run.passed += 1;
      const file = pass.groups?.['file'];
      if (file === undefined) continue;
      if (!run.seconds.has(file)) print(file);
      run.seconds.set(file, Math.max(run.seconds.get(file) ?? 0, secondsOf(line)));
      continue;
    }
    if (failures.read(line)) run.failed += 1;
    if (skippedLine.test(line)) run.skipped += 1;
    if (line !== '' || run.failed > 0) print(line.slice(2));
  }
  return { ...run, failures: failures.all() };
}

/** Collects failures with the beginnings of their explanations, which follow at once or, for tests, after all tests. */
function createFailures() {
  const failures: string[][] = [];
  const byTitle = new Map<string, string[]>();
  let explained: string[] | undefined;
  let hasDivider = false;

  const add = (title: string): void => void failures.push((explained = [title]));
  /** True for a line that names a test or a file that failed. */
  const read = (line: string): boolean => {
    const title = failedTest.exec(line)?.groups?.['title'];
    if (title !== undefined) {
      add(title);
      byTitle.set(title, explained ?? []);
      explained = undefined;
      return true;
    }
    if (failedFile.test(line)) {
      add(line.replace(/^ {2}(?:\u2718 )?/u, ''));
      // An error outside of any test ends the process, which ava reports as well.
      return line.startsWith('  \u2718');
    }
    if (line === divider) {
      hasDivider = true;
      explained = undefined;
      return false;
    }
    const test = hasDivider ? testNamed(line.slice(2), byTitle) : undefined;
    if (test) explained = test;
    else if (pendingTests.test(line)) add(line.slice(2));
    else if (line.trim() !== '' && (explained?.length ?? Infinity) <= EXPLAINED_LINES)
      explained?.push(line.slice(2));
    return false;
  };
  return { read, all: (): readonly Failure[] => failures };
}

/** The failure whose explanation begins with this line: first ava says title and message, later the title alone. */
function testNamed(line: string, byTitle: ReadonlyMap<string, string[]>): string[] | undefined {
  const named = [...byTitle].find(([title]) => line !== '' && title.startsWith(`${line} `));
  return byTitle.get(line) ?? named?.[1];
}

const ERROR_LINES = 20;
/** A file whose process outlived its tests, and crashes of Node itself. */
const fatalError = /^(?:Leak: |FATAL ERROR: |# Fatal error )/;

/**
 * Reads what tests and their processes print by the way, of interest only if something fails: the last different lines,
 * and all that say why a process ended.
 */
export async function readErrors(
  stderr: NodeJS.ReadableStream,
): Promise<{ readonly last: readonly string[]; readonly failures: readonly string[] }> {
  const last = new Set<string>();
  const failures: string[] = [];
  for await (const coloured of createInterface({ input: stderr })) {
    const line = stripVTControlCharacters(coloured);
    if (fatalError.test(line)) failures.push(line);
    if (line.trim() === '') continue;
    last.delete(line);
    last.add(line);
    const [oldest] = last;
    if (last.size > ERROR_LINES && oldest !== undefined) last.delete(oldest);
  }
  return { last: [...last], failures };
}

/** Ava tells how long a test took if that was more than a moment. */
function secondsOf(line: string): number {
  const [, minutes = '0', amount = '0', unit] = durationAtEnd.exec(line) ?? [];
  return Number(minutes) * 60 + Number(amount) / (unit === 'ms' ? 1_000 : 1);
}
