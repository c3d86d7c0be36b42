import { cutText } from '../cut-text.js';
import { maskTokensAndAddresses } from '../logging/mask.js';
import type { Check, CheckResult, ProblemKind } from '../health/checks.js';
import { runChecks } from '../health/readiness.js';

/** What one of a process's checks found last. */
export interface HealthFact {
  readonly ok: boolean;
  readonly problem?: string;
  /** Absent in what an older release has written; a newer one may write others. */
  readonly kind?: ProblemKind;
  /** Since when it fails, in ISO 8601, by the clock of the process. */
  readonly since?: string;
}

/** What a process knows of its dependencies, by the name of the check, and as `clock` of its own clock. */
export type Health = Readonly<Record<string, HealthFact>>;

const MAX_TEXT = 300;

/**
 * A text that may be kept: bounded, without tokens and addresses, and without NUL bytes and halves of surrogate pairs, which
 * PostgreSQL refuses.
 */
export const boundedText = (text: string): string =>
  cutText(maskTokensAndAddresses(cutText(text, 4 * MAX_TEXT).replaceAll('\0', '')), MAX_TEXT);

/** Runs checks, each for two seconds at most. What fails already keeps the time since when it does. */
export async function checkHealth(
  checks: Readonly<Record<string, Check>>,
  before: Health,
): Promise<Health> {
  const results = await runChecks(checks);
  return Object.fromEntries(
    Object.entries(results).map(([name, result]) => [name, factOf(result, before[name])]),
  );
}

function factOf({ ok, problem, kind }: CheckResult, before: HealthFact | undefined): HealthFact {
  if (ok) return { ok };
  const since = before?.since ?? new Date().toISOString();
  return {
    ok,
    since,
    ...(problem !== undefined && { problem: boundedText(problem) }),
    ...(kind && { kind }),
  };
}

/** True when the checks found the same. */
export const isSameHealth = (one: Health, other: Health): boolean =>
  JSON.stringify(one) === JSON.stringify(other);
