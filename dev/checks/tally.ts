/** How many checks and tests passed and failed. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** What failed: a line that names it each, then the first lines of its explanation. */
  readonly failures: readonly Failure[];
}

/** One thing that went wrong: a line that names it, and the first lines of its explanation. */
export type Failure = readonly string[];

/** Where a sum begins. */
export const nothing: Tally = { passed: 0, failed: 0, failures: [] };

/** Both together. */
export function add(one: Tally, other: Tally): Tally {
  return {
    passed: one.passed + other.passed,
    failed: one.failed + other.failed,
    failures: [...one.failures, ...other.failures],
  };
}

/** One line for a finished check, what it holds or that it failed; with `fault`, the tool's words below. */
export function report(
  check: { name: string; startedAt: number } & ({ claim: string } | { fault: string }),
): Tally {
  const seconds = ((performance.now() - check.startedAt) / 1000).toFixed(1);
  const failed = 'fault' in check;
  const says = failed ? 'failed' : check.claim;
  process.stdout.write(
    `${failed ? 'FAIL' : 'ok  '}  ${check.name.padEnd(11)} ${says.padEnd(52)} ${seconds.padStart(6)} s\n`,
  );
  if (!failed) return { ...nothing, passed: 1 };
  const fault = check.fault.trim();
  process.stdout.write(`${indent(fault)}\n`);
  const [why = '', ...rest] = fault.split('\n');
  return { ...nothing, failed: 1, failures: [[`${check.name}: ${why}`, ...rest]] };
}

/**
 * The last lines, and the exit code: a run that has found nothing to do has failed. All failures are repeated in brief
 * right before the counts: whoever sees only the end of the output sees why.
 */
export function tell({ passed, failed, failures }: Tally): void {
  for (const line of summarize(failures)) process.stdout.write(`${line}\n`);
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

const SUMMARY_LINES = 40;
const LINE_LENGTH = 200;

/** Every failure's name as far as there is room, and of what is left over an equal share for each explanation. */
export function summarize(failures: readonly Failure[], maxLines = SUMMARY_LINES): string[] {
  if (failures.length === 0) return [];
  const shown = failures.slice(0, maxLines);
  const share = Math.floor((maxLines - shown.length) / shown.length);
  const lines = shown.flatMap(([name = '', ...explanation]) => [
    `FAIL  ${name}`,
    ...explanation.slice(0, share).map((line) => `      ${line}`),
  ]);
  const left = failures.length - shown.length;
  return [
    ...lines.map((line) => line.slice(0, LINE_LENGTH)),
    ...(left > 0 ? [`FAIL  and ${left} more`] : []),
  ];
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '      ');
}
