import type { Logger } from '../../shared/logging/logger.js';

/** `working`: takes jobs; `draining`: takes none, some are in flight; `drained`: none are. */
export type DrainState = 'working' | 'draining' | 'drained';

/** Ends the work on the queues ahead of the process, which goes on answering over HTTP until it is stopped. */
export interface Drain {
  readonly state: DrainState;
  /** Adds a consumer that is to be drained. */
  add(consumer: { stop(deadlineMs: number): Promise<void> }): void;
  /** Begins, once; resolves when no job is in flight. */
  start(): Promise<void>;
}

/**
 * How long jobs in flight may take before they are returned to the queue. With what the shutdown takes, 25 s, it fits into
 * the 180 s that Auto Scaling waits before it terminates an instance (`.ebextensions/worker`).
 */
const DRAIN_WITHIN_MS = 110_000;

/** See {@link Drain}. */
export function createDrain(log: Logger): Drain {
  const consumers: { stop(deadlineMs: number): Promise<void> }[] = [];
  let state: DrainState = 'working';
  let done: Promise<void> | undefined;

  const drain = async (): Promise<void> => {
    state = 'draining';
    log.info('drain started');
    await Promise.all(
      consumers.map(({ stop }) =>
        stop(DRAIN_WITHIN_MS).catch((error: unknown) => log.error({ err: error }, 'drain failed')),
      ),
    );
    state = 'drained';
    log.info('drain completed');
  };
  return {
    get state() {
      return state;
    },
    add: (consumer) => void consumers.push(consumer),
    start: () => (done ??= drain()),
  };
}
