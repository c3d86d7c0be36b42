import { MailFailure } from '../mail.port.js';
import { JobDelayed } from '../../jobs/job-effects.js';

/**
 * Bounds how many mails are sent at once. Others are prepared meanwhile, the transmissions of the next ones are counted, and
 * the outcomes of those before are recorded, so that no connection waits for a statement (ADR 26).
 */
export interface SendSlots {
  /** At most so many mails at once, at least one; may change. */
  readonly limit: () => number;
  /** Prepared mails, in the order in which they get slots. */
  readonly waiting: Set<Waiter>;
  /** Mails that have a connection. */
  sending: number;
  /** Mails that were sent, and whose outcomes are not recorded yet. */
  recording: number;
}

/** A prepared mail that waits for a connection. */
interface Waiter {
  /** Called once, when it is among the next to be sent. */
  readonly onNext: () => void;
  isNext: boolean;
  /** Called when a slot is its own. */
  readonly onSlot: () => void;
}

/** One mail's slot. */
export interface SendSlot {
  state: 'sending' | 'recording' | 'released';
}

/** Mails in flight for each connection besides the one that is sent: half of them are being recorded under full load. */
const OTHERS_PER_CONNECTION = 6;
const MAX_OTHERS = 60;
/** If this process dies, what was sent and is not recorded is sent again: at most so many mails for each connection. */
const UNRECORDED_PER_CONNECTION = 4;
/** A prepared mail waits no longer for a connection: another worker may have one. */
const MAX_WAIT_MS = 5_000;
const NO_SLOT_DELAY_MS = 1_000;

/** How many mails a worker has in flight with so many connections: prepared, being sent, or being recorded. */
export const mailsInFlight = (connections: number): number =>
  connections + Math.min(connections * OTHERS_PER_CONNECTION, MAX_OTHERS);

/** Slots for so many mails at once. */
export const createSendSlots = (limit: () => number): SendSlots => ({
  limit,
  waiting: new Set(),
  sending: 0,
  recording: 0,
});

/**
 * Resolves to a slot, which the caller must release. Waiters get slots in order of arrival.
 * @param onNext called when the mail waits, and no more mails are before it than there are connections.
 * @throws {JobDelayed} when none is free for a while, and {MailFailure} when the signal aborts.
 */
export async function acquireSlot(
  slots: SendSlots,
  signal: AbortSignal,
  onNext: () => void,
): Promise<SendSlot> {
  if (slots.waiting.size > 0 || !hasRoom(slots)) await waitForSlot(slots, signal, onNext);
  else slots.sending += 1;
  return { state: 'sending' };
}

/** True while a mail waits for each of the connections: one that is prepared now is not needed at once. */
export const isWellPrepared = ({ waiting, limit }: SendSlots): boolean => waiting.size >= limit();

function hasRoom({ sending, recording, limit }: SendSlots): boolean {
  const max = limit();
  return sending < max && sending + recording < UNRECORDED_PER_CONNECTION * max;
}

function waitForSlot(slots: SendSlots, signal: AbortSignal, onNext: () => void): Promise<void> {
  const { waiting } = slots;
  return new Promise((resolve, reject) => {
    const end = (): void => {
      waiting.delete(waiter);
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
    const waiter: Waiter = { onNext, isNext: false, onSlot };
    waiting.add(waiter);
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
    else tellNext(slots);
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
  for (const waiter of slots.waiting) {
    if (!hasRoom(slots)) break;
    slots.sending += 1;
    waiter.onSlot();
  }
  tellNext(slots);
}

/** Tells the first in line, one for each connection. */
function tellNext({ waiting, limit }: SendSlots): void {
  for (const waiter of [...waiting].slice(0, limit())) {
    if (waiter.isNext) continue;
    waiter.isNext = true;
    waiter.onNext();
  }
}
