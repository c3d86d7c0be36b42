import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../logging/logger.js';
import type { Queues } from './queues.js';

const RETRY_EVERY_MS = 5_000;

/**
 * Logs what an operator should correct about Redis, as soon as it answers, even with a refusal. It is used all the same:
 * what it loses is enqueued again from outbox and spool. Ends when the signal aborts.
 */
export async function logRedisProblems(
  queues: Pick<Queues, 'problems'>,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const { isSerious, problem } of await queues.problems())
        log[isSerious ? 'error' : 'warn']({ 'event.reason': problem }, 'Redis misconfigured');
      return;
    } catch {
      // Redis is unreachable, which its client logs.
      await delay(RETRY_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
