import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../logging/logger.js';
import type { Queues } from './queues.js';

const ASK_EVERY_MS = 5_000;

/**
 * Logs what an operator should mend about Redis, as soon as it answers, be it with a refusal. Whatever is wrong, it goes on being used: outbox
 * and spool make up for what it loses. Ends when the signal aborts.
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
      // It is away, which its client tells.
      await delay(ASK_EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}
