import { MailFailure } from '../mail.port.js';
import { JobDelayed } from '../../jobs/job-effects.js';

/**
 * Bounds how many mails are sent at once; others are prepared, and the outcomes of others are recorded meanwhile, so that no
 * connection waits for a statement.
 */
export interface SendSlots {
  /** At most so many mails at once, at least one; may change. */
  readonly limit: () => number;
  /** Called when a slot is theirs, in the order of arrival. */
  readonly waiting: Set<() => void>;
  /** Mails that have a connection. */
  sending: number;
  /** Mails that were sent, and whose outcomes are not recorded yet. */
  recording: number;
}

/** One mail's slot. */
export interface SendSlot {
  state: 'sending' | 'recording' | 'released';
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
  sending: 0,
  recording: 0,
});

/**
 * Resolves to a slot, which the caller must release. Waiters get slots in order of arrival.
 * @throws {JobDelayed} when none is free for a while, and {MailFailure} when the signal aborts.
 */
export async function acquireSlot(slots: SendSlots, signal: AbortSignal): Promise<SendSlot> {
  if (slots.waiting.size > 0 || !hasRoom(slots)) await waitForSlot(slots, signal);
  else slots.sending += 1;
  return { state: 'sending' };
}

/** True while a mail waits for each of the connections: one that is prepared now is not needed at once. */
export const isWellPrepared = ({ waiting, limit }: SendSlots): boolean => waiting.size >= limit();

/** If this process dies, what was sent and is not recorded is sent again: two mails for each connection at most. */
function hasRoom({ sending, recording, limit }: SendSlots): boolean {
  const max = limit();
  return sending < max && sending + recording < 2 * max;
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

/** The mail was sent: the next one may have the connection while the outcome is recorded. */
export function freeConnection(slots: SendSlots, slot: SendSlot): void {
  slots.sending -= 1;
  slots.recording += 1;
  slot.state = 'recording';
  admitWaiting(slots);
}

/** Ends a slot, whatever its state. Idempotent. */
export function releaseSlot(slots: SendSlots, slot: SendSlot): void {
  if (slot.state === 'released') return;
  slots[slot.state] -= 1;
  slot.state = 'released';
  admitWaiting(slots);
}

function admitWaiting(slots: SendSlots): void {
  for (const onSlot of slots.waiting) {
    if (!hasRoom(slots)) return;
    slots.sending += 1;
    onSlot();
  }
}
