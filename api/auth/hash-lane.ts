import { AppError } from '../../shared/errors/app-error.js';

/** Lets a few password hashes run at a time and refuses those that would wait too long. */
export interface HashLane {
  /**
   * Runs the work when its turn comes.
   * @throws {AppError} `overloaded` at once, with `Retry-After`, when the lane is full.
   */
  run<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Holds a place for work that comes to its hash later: what would be refused then is refused before its first look-up.
   * @throws {AppError} `overloaded` at once, with `Retry-After`, when there is no place left.
   */
  reserve<T>(work: () => Promise<T>): Promise<T>;
}

/** How a lane is made. */
export interface HashLaneOptions {
  /** How long one hash takes here; measured at start. */
  readonly hashMs: number;
  /** How many hashes may run at once. */
  readonly width: number;
}

const MAX_WAIT_MS = 2_500;
const MIN_QUEUE = 4;
const MAX_QUEUE = 1_000;

/**
 * How many hashes may run at once. Native bcrypt takes a whole core and a thread of libuv's pool each: one core stays for
 * everything else, and two threads for files and look-ups of names, without which no connection is made.
 */
export const laneWidth = ({ cores, threads }: { cores: number; threads: number }): number =>
  Math.max(1, Math.min(cores - 1, threads - 2));

/** A bounded first-in, first-out lane in front of bcrypt, so that a flood of logins never starves the other routes. */
export function createHashLane({ hashMs, width }: HashLaneOptions): HashLane {
  const maxQueue = Math.min(
    MAX_QUEUE,
    Math.max(MIN_QUEUE, Math.floor((MAX_WAIT_MS * width) / Math.max(hashMs, 1))),
  );
  const waiting: (() => void)[] = [];
  let running = 0;
  let reserved = 0;

  const refuseUnless = (hasRoom: boolean): void => {
    if (hasRoom) return;
    throw new AppError('overloaded', { headers: { 'Retry-After': retryAfterSeconds() } });
  };

  const enter = async (): Promise<void> => {
    if (running < width) {
      running += 1;
      return;
    }
    refuseUnless(waiting.length < maxQueue);
    // Whoever leaves hands the place over, so `running` does not change.
    await new Promise<void>((resolve) => waiting.push(resolve));
  };

  const leave = (): void => {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  };

  const retryAfterSeconds = (): string => {
    const ahead = Math.max(waiting.length + running, reserved);
    const drainedInMs = (ahead * hashMs) / width;
    return String(Math.ceil(drainedInMs / 1_000) + Math.floor(Math.random() * 3));
  };

  return {
    async reserve(work) {
      refuseUnless(waiting.length < maxQueue && reserved < maxQueue + width);
      reserved += 1;
      try {
        return await work();
      } finally {
        reserved -= 1;
      }
    },
    async run(work) {
      await enter();
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
