import { setTimeout as delay } from 'node:timers/promises';

/** How long to go on asking. */
export interface Patience {
  /** Generous, because nobody waits for it unless something is broken. */
  readonly withinMs?: number;
  /** What is awaited, for the message when it never comes. */
  readonly of?: string;
}

const DEFAULT_WITHIN_MS = 60_000;
const FIRST_PAUSE_MS = 20;
/** What takes long is asked for less often: a machine full of tests that ask has no time to answer. */
const LONGER = 1.25;
const LONGEST_PAUSE_MS = 250;

/**
 * Asks again until `check` yields something other than `undefined` or `false`, and resolves to it.
 * @throws when the time is up, with the last thing that `check` threw as its cause.
 */
export async function eventually<T>(
  check: () => Promise<T> | T,
  { withinMs = DEFAULT_WITHIN_MS, of = 'the condition' }: Patience = {},
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + withinMs;
  let failure: unknown;
  let pauseMs = FIRST_PAUSE_MS;
  do {
    try {
      const value = await check();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    await delay(pauseMs);
    pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * LONGER);
  } while (performance.now() < deadline);
  const why = failure instanceof Error ? `: ${failure.message}` : '';
  throw new Error(`${of} did not come true within ${withinMs} ms${why}`, { cause: failure });
}
