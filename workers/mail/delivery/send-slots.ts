import { MailFailure } from '../mail.port.js';
import { JobDelayed } from '../../jobs/job-effects.js';

/** Bounds how many mails are sent at once; others are prepared meanwhile, so that no connection waits for a statement. */
export interface SendSlots {
  /** At most so many mails at once, at least one; may change. */
  readonly limit: () => number;
  /** Called when a slot is theirs, in the order of arrival. */
  readonly waiting: Set<() => void>;
  inUse: number;
}

/** How many mails are prepared for each connection, besides the one that is sent. */
const PREPARED_PER_CONNECTION = 3;
const MAX_PREPARED = 20;
/** A prepared mail waits no longer for a connection: another worker may have one. */
const MAX_WAIT_MS = 5_000;
const NO_SLOT_DELAY_MS = 1_000;

/** How many mails a worker has in flight with so many connections: those that are sent, and those that are prepared. */
export const mailsInFlight = (connections: number): number =>
  connections + Math.min(connections * PREPARED_PER_CONNECTION, MAX_PREPARED);

/** Slots for so many mails at once. */
export const createSendSlots = (limit: () => number): SendSlots => ({
  limit,
  waiting: new Set(),
  inUse: 0,
});

/**
 * Resolves when the caller has a slot, which it must release. Waiters get slots in order of arrival.
 * @throws {JobDelayed} when none is free for a while, and {MailFailure} when the signal aborts.
 */
export async function acquireSlot(slots: SendSlots, signal: AbortSignal): Promise<void> {
  if (slots.waiting.size > 0 || slots.inUse >= slots.limit()) await waitForSlot(slots, signal);
  else slots.inUse += 1;
}

function waitForSlot({ waiting }: SendSlots, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (): void => {
      waiting.delete(onSlot);
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    const onSlot = (): void => {
      end();
      resolve();
    };
    const onAbort = (): void => {
      end();
      reject(new MailFailure('abort', 'aborted before a connection was free'));
    };
    const timer = setTimeout(() => {
      end();
      reject(new JobDelayed('no connection to the mail server was free', NO_SLOT_DELAY_MS));
    }, MAX_WAIT_MS);
    waiting.add(onSlot);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

/** Passes the slot to the next waiter, or to as many as the limit allows by now. */
export function releaseSlot(slots: SendSlots): void {
  slots.inUse -= 1;
  for (const onSlot of slots.waiting) {
    if (slots.inUse >= slots.limit()) return;
    slots.inUse += 1;
    onSlot();
  }
}
