import { AppError } from '../../shared/errors/app-error.js';
import { sharedNetworkOf } from '../rate-limits/networks.js';

/** The client that a hash is for. A `Cause` has this shape. */
export interface HashClient {
  readonly ip?: string | undefined;
  /** Whether the account's owner has been seen in this network. Called only when the general capacity is used up. */
  readonly isKnownNetwork?: () => Promise<boolean>;
}

/** A client with a mailed link or a session counts as the account's owner, in any network. */
export const ownersClient = ({ ip }: { readonly ip?: string | undefined }): HashClient => ({
  ip,
  isKnownNetwork: () => Promise.resolve(true),
});

/** How busy a limiter is. */
export interface HashLoad {
  readonly running: number;
  readonly waiting: number;
  readonly refused: number;
}

/** Limits concurrent password hashes, and rejects those that would wait too long. */
export interface HashLimiter {
  /** How many hashes run and wait now, and how many were refused since the start. */
  load(): HashLoad;
  /**
   * Refuses a request that {@link reserve} would refuse whatever account it names, so that it costs neither a look-up nor
   * its body. Depends on the client and the load alone, so it reveals nothing of any account.
   * @throws {AppError} `overloaded`, with `Retry-After`.
   */
  requireRoom(client: Pick<HashClient, 'ip'>): void;
  /**
   * Runs the work when a slot is free.
   * @throws {AppError} `overloaded` at once, with `Retry-After`, when the queue is full.
   */
  run<T>(work: () => Promise<T>): Promise<T>;
  /**
   * Reserves capacity for work that will need a hash later, so that it is rejected before its look-ups, not after.
   * @throws {AppError} `overloaded` at once, with `Retry-After`, when there is no capacity left for this client.
   */
  reserve<T>(work: () => Promise<T>, client?: HashClient): Promise<T>;
}

export interface HashLimiterOptions {
  /** Duration of one hash on this machine, measured at start. */
  readonly hashMs: number;
  readonly concurrency: number;
}

const MAX_WAIT_MS = 2_500;
const MIN_QUEUE = 4;
const MAX_QUEUE = 1_000;
/** The share of the capacity that is reserved for clients in known networks of the account's owner. */
const SHARE_FOR_KNOWN_NETWORKS = 1 / 4;
/** How many reservations one client may hold once half of the general capacity is taken; unlimited before. */
const MAX_PER_CLIENT = 2;

/**
 * How many hashes may run concurrently. Each takes a core and a thread of libuv's pool: one core is left for everything
 * else, and two threads for file system and DNS calls, without which no connection can be opened.
 */
export const hashConcurrency = ({ cores, threads }: { cores: number; threads: number }): number =>
  Math.max(1, Math.min(cores - 1, threads - 2));

/**
 * A bounded FIFO queue in front of bcrypt, so that a flood of logins cannot starve the other routes, and one client's flood
 * cannot starve the logins of others.
 */
export function createHashLimiter({ hashMs, concurrency }: HashLimiterOptions): HashLimiter {
  const maxQueue = Math.min(
    MAX_QUEUE,
    Math.max(MIN_QUEUE, Math.floor((MAX_WAIT_MS * concurrency) / Math.max(hashMs, 1))),
  );
  const slots = createSlots(concurrency);
  const reservations = createReservations(maxQueue + concurrency);

  let refused = 0;
  const overloaded = (): AppError => {
    refused += 1;
    const ahead = Math.max(slots.waiting() + slots.running(), reservations.count());
    const drainMs = (ahead * hashMs) / concurrency;
    const seconds = Math.ceil(drainMs / 1_000) + Math.floor(Math.random() * 3);
    return new AppError('overloaded', { headers: { 'Retry-After': String(seconds) } });
  };

  return {
    load: () => ({ running: slots.running(), waiting: slots.waiting(), refused }),
    requireRoom({ ip }) {
      if (slots.waiting() >= maxQueue || !reservations.hasRoomFor(ip)) throw overloaded();
    },
    async reserve(work, client) {
      if (slots.waiting() >= maxQueue) throw overloaded();
      const release = await reservations.take(client);
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

/** Runs a limited number of tasks concurrently; the others wait in FIFO order. */
function createSlots(concurrency: number) {
  const waiting: (() => void)[] = [];
  let running = 0;

  const enter = async (): Promise<void> => {
    if (running < concurrency) running += 1;
    // The slot passes to the next waiter, so `running` does not change.
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

/** Decides which clients may wait for a hash. */
function createReservations(total: number) {
  const general = total - Math.ceil(total * SHARE_FOR_KNOWN_NETWORKS);
  const heldBy = new Map<string, number>();
  let taken = 0;

  /** Whether there is capacity for the client if it is in a known network of the account's owner. */
  const hasRoom = (key: string): boolean =>
    taken < total && (taken < general / 2 || (heldBy.get(key) ?? 0) < MAX_PER_CLIENT);

  return {
    count: () => taken,
    hasRoomFor: (ip: string | undefined): boolean => hasRoom(sharedNetworkOf(ip)),
    /** Resolves to a function that releases the reservation, or to `undefined` when there is no capacity for this client. */
    async take(client: HashClient = {}): Promise<(() => void) | undefined> {
      const key = sharedNetworkOf(client.ip);
      if (!hasRoom(key)) return undefined;
      if (taken >= general) {
        if (!(await client.isKnownNetwork?.())) return undefined;
        // Concurrent requests may have used the capacity up during the look-up.
        if (!hasRoom(key)) return undefined;
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
