import { AppError } from '../../shared/errors/app-error.js';
import { sharedNetworkOf } from '../throttling/networks.js';

/** Who asks for a hash. The cause of an audit event (`Cause`) will do for one. */
export interface HashClient {
  readonly ip?: string | undefined;
  /** Whether the account's owner has logged in from this network before. Asked only when there is no other place left. */
  readonly isKnownNetwork?: () => Promise<boolean>;
}

/** Lets a few password hashes run at a time and refuses those that would wait too long. */
export interface HashLimiter {
  /**
   * Runs the work when its turn comes.
   * @throws {AppError} `overloaded` at once, with `Retry-After`, when the queue is full, whoever asks.
   */
  run<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Holds a place for work that comes to its hash later: what would be refused then is refused before its look-ups.
   * @throws {AppError} `overloaded` at once, with `Retry-After`, when there is no place left for this client.
   */
  reserve<T>(work: () => Promise<T>, client?: HashClient): Promise<T>;
}

/** How a limiter is made. */
export interface HashLimiterOptions {
  /** How long one hash takes here; measured at start. */
  readonly hashMs: number;
  /** How many hashes may run at once. */
  readonly concurrency: number;
}

const MAX_WAIT_MS = 2_500;
const MIN_QUEUE = 4;
const MAX_QUEUE = 1_000;
/** The last of the places, for clients in networks that the account's owner has logged in from. */
const SHARE_FOR_KNOWN_NETWORKS = 1 / 4;
/** What one client may hold once half of the other places are taken; before that nobody is in its way. */
const PLACES_PER_CLIENT = 2;

/**
 * How many hashes may run at once. Native bcrypt takes a whole core and a thread of libuv's pool each: one core stays for
 * everything else, and two threads for files and look-ups of names, without which no connection is made.
 */
export const hashConcurrency = ({ cores, threads }: { cores: number; threads: number }): number =>
  Math.max(1, Math.min(cores - 1, threads - 2));

/**
 * A bounded first-in, first-out queue in front of bcrypt, so that a flood of logins never starves the other routes, and
 * one client's flood never the logins of others.
 */
export function createHashLimiter({ hashMs, concurrency }: HashLimiterOptions): HashLimiter {
  const maxQueue = Math.min(
    MAX_QUEUE,
    Math.max(MIN_QUEUE, Math.floor((MAX_WAIT_MS * concurrency) / Math.max(hashMs, 1))),
  );
  const slots = createSlots(concurrency);
  const places = createPlaces(maxQueue + concurrency);

  const overloaded = (): AppError => {
    const ahead = Math.max(slots.waiting() + slots.running(), places.taken());
    const drainedInMs = (ahead * hashMs) / concurrency;
    const seconds = Math.ceil(drainedInMs / 1_000) + Math.floor(Math.random() * 3);
    return new AppError('overloaded', { headers: { 'Retry-After': String(seconds) } });
  };

  return {
    async reserve(work, client) {
      if (slots.waiting() >= maxQueue) throw overloaded();
      const release = await places.take(client);
      if (!release) throw overloaded();
      try {
        return await work();
      } finally {
        release();
      }
    },
    async run(work) {
      if (slots.waiting() >= maxQueue) throw overloaded();
      return slots.run(work);
    },
  };
}

/** Runs so much work at once; the rest waits, first in, first out. */
function createSlots(concurrency: number) {
  const waiting: (() => void)[] = [];
  let running = 0;

  const enter = async (): Promise<void> => {
    if (running < concurrency) running += 1;
    // Whoever leaves hands the slot over, so `running` does not change.
    else await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const leave = (): void => {
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  };

  return {
    waiting: () => waiting.length,
    running: () => running,
    async run<T>(work: () => Promise<T>): Promise<T> {
      await enter();
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}

/** Who may wait for a hash. */
function createPlaces(total: number) {
  const forAll = total - Math.ceil(total * SHARE_FOR_KNOWN_NETWORKS);
  const heldBy = new Map<string, number>();
  let taken = 0;

  const isWithinItsShare = (key: string): boolean =>
    taken < forAll / 2 || (heldBy.get(key) ?? 0) < PLACES_PER_CLIENT;

  return {
    taken: () => taken,
    /** Resolves to what gives the place back, or to `undefined` when there is none for this client. */
    async take(client: HashClient = {}): Promise<(() => void) | undefined> {
      const key = sharedNetworkOf(client.ip);
      if (taken >= total || !isWithinItsShare(key)) return undefined;
      if (taken >= forAll) {
        if (!(await client.isKnownNetwork?.())) return undefined;
        // Others may have come during the look-up.
        if (taken >= total || !isWithinItsShare(key)) return undefined;
      }
      taken += 1;
      heldBy.set(key, (heldBy.get(key) ?? 0) + 1);
      return () => {
        taken -= 1;
        const held = (heldBy.get(key) ?? 1) - 1;
        if (held > 0) heldBy.set(key, held);
        else heldBy.delete(key);
      };
    },
  };
}
