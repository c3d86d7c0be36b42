/** How many checks and tests passed and failed. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
}

/** Where a sum begins. */
export const nothing: Tally = { passed: 0, failed: 0 };

/** Both together. */
export function add(one: Tally, other: Tally): Tally {
  return { passed: one.passed + other.passed, failed: one.failed + other.failed };
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
  if (failed) process.stdout.write(`${indent(check.fault.trim())}\n`);
  return failed ? { passed: 0, failed: 1 } : { passed: 1, failed: 0 };
}

/** The last line, and the exit code: a run that has found nothing to do has failed. */
export function tell({ passed, failed }: Tally): void {
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
}

function indent(text: string): string {
  return text.replaceAll(/^(?=.)/gm, '      ');
}
