import { deadlines } from '../../shared/lifecycle/deadlines.js';
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
        stop(deadlines.worker.drainMs).catch((error: unknown) =>
          log.error({ err: error }, 'drain failed'),
        ),
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
