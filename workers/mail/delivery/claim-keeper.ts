import type { Database } from '../../../shared/database/connect.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { Grouped } from '../../../shared/database/group-commit.js';
import { maskError } from '../../../shared/logging/mask.js';
import { fieldsOf, renewClaim, type ClaimedMessage, type Transmission } from './outbox-claim.js';

export interface ClaimKeeperDeps {
  readonly database: Database;
  readonly log: Logger;
  /** How long a claim lasts. */
  readonly claimMs: number;
  /** Counts a transmission: `recordTransmissions` of `outbox-claim.ts`. */
  readonly countTransmission: Grouped<Transmission, number>;
}

/** Keeps a message claimed for as long as this worker delivers it. */
export interface ClaimKeeper {
  /** For how many milliseconds the claim is held even if no renewal succeeds. */
  heldForMs(): number;
  /**
   * Records that the content of a mail of this kind is about to be transmitted.
   * @returns how often it was without an answer, this time included.
   * @throws {ClaimLost} if another worker has claimed the message, or an operator decided about it.
   */
  recordTransmission(template: string): Promise<number>;
  /**
   * Makes sure that the claim still holds, by renewing it.
   * @throws {ClaimLost} as `recordTransmission` does.
   */
  confirm(): Promise<void>;
  /** Stops renewing; resolves when `claimedUntil` is what the row has. Idempotent. */
  stop(): Promise<void>;
}

/** The message is not claimed by this worker any more. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

interface ClaimState {
  readonly deps: ClaimKeeperDeps;
  readonly message: ClaimedMessage;
  heldUntil: number;
  /** The last statement about the claim: one at a time, since each renewal changes `claimedUntil`. */
  last: Promise<void>;
  /** The next renewal; undefined when stopped. */
  timer: NodeJS.Timeout | undefined;
}

/**
 * Renews a claim at every third of its duration, until stopped. A renewal that fails is logged and retried: the claim is
 * then lost only if another worker takes it.
 * @param claimedAt when the claim was requested, by the monotonic clock.
 */
export function keepClaim(
  deps: ClaimKeeperDeps,
  message: ClaimedMessage,
  claimedAt: number,
): ClaimKeeper {
  const state: ClaimState = {
    deps,
    message,
    heldUntil: claimedAt + deps.claimMs,
    last: Promise.resolve(),
    timer: undefined,
  };
  scheduleRenewal(state);
  return {
    heldForMs: () => state.heldUntil - performance.now(),
    async recordTransmission(template) {
      const counted = afterLast(state, () => deps.countTransmission({ message, template }));
      return (await counted) ?? claimLost();
    },
    async confirm() {
      if (!(await afterLast(state, () => extend(state)))) claimLost();
    },
    async stop() {
      clearTimeout(state.timer);
      state.timer = undefined;
      await state.last;
    },
  };
}

function claimLost(): never {
  throw new ClaimLost('the message is claimed by another worker');
}

/** Runs a statement about the claim once the last one has ended. */
function afterLast<R>(state: ClaimState, run: () => Promise<R>): Promise<R> {
  const result = state.last.then(run);
  state.last = result.then(
    () => undefined,
    () => undefined,
  );
  return result;
}

/** Most mails end long before their first renewal: until then a claim costs no more than a timer. */
function scheduleRenewal(state: ClaimState): void {
  state.timer = setTimeout(() => {
    state.last = state.last
      .then(() => renew(state))
      .then(() => {
        if (state.timer !== undefined) scheduleRenewal(state);
      });
  }, state.deps.claimMs / 3);
}

async function renew(state: ClaimState): Promise<void> {
  try {
    await extend(state);
  } catch (error) {
    const { deps, message } = state;
    deps.log.warn({ ...fieldsOf(message), err: maskError(error) }, 'claim renewal failed');
  }
}

/** Extends the claim by its duration; resolves to false when it is not this worker's any more. */
async function extend(state: ClaimState): Promise<boolean> {
  const { message } = state;
  const { database, claimMs } = state.deps;
  const requestedAt = performance.now();
  const claimedUntil = await renewClaim(database, message, claimMs);
  if (claimedUntil === undefined) return false;
  message.claimedUntil = claimedUntil;
  state.heldUntil = requestedAt + claimMs;
  return true;
}
