import type { Database } from '../../../shared/database/connect.js';
import { startRepeating } from '../../../shared/lifecycle/repeat.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { maskError } from '../../mask.js';
import { recordTransmission, renewClaim, type ClaimedMessage } from './outbox-claim.js';

export interface ClaimDeps {
  readonly database: Database;
  readonly log: Logger;
  /** How long a claim lasts. */
  readonly claimMs: number;
}

/** Keeps a message claimed for as long as this worker delivers it. */
export interface ClaimKeeper {
  /** For how many milliseconds the claim is held even if no renewal succeeds. */
  heldForMs(): number;
  /**
   * Records that the content is about to be transmitted.
   * @returns how often it was without an answer, this time included.
   * @throws {ClaimLost} if another worker has claimed the message, or an operator decided about it.
   */
  recordTransmission(): Promise<number>;
  /** Stops renewing; resolves when `claimedUntil` is what the row has. Idempotent. */
  stop(): Promise<void>;
}

/** The message is not claimed by this worker any more. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

interface ClaimState {
  readonly deps: ClaimDeps;
  readonly message: ClaimedMessage;
  heldUntil: number;
  renewal: Promise<void>;
}

/**
 * Renews a claim at every third of its duration, until stopped. A renewal that fails is logged and retried: the claim is
 * then lost only if another worker takes it.
 * @param claimedAt when the claim was requested, by the monotonic clock.
 */
export function keepClaim(
  deps: ClaimDeps,
  message: ClaimedMessage,
  claimedAt: number,
): ClaimKeeper {
  const { database, claimMs } = deps;
  const state: ClaimState = {
    deps,
    message,
    heldUntil: claimedAt + claimMs,
    renewal: Promise.resolve(),
  };
  const intervalMs = claimMs / 3;
  const renewing = startRepeating(async () => {
    state.renewal = renew(state);
    await state.renewal;
    return intervalMs;
  }, intervalMs);
  return {
    heldForMs: () => state.heldUntil - performance.now(),
    async recordTransmission() {
      // Only with the last renewal's result does `claimedUntil` match the row.
      await state.renewal;
      const transmissions = await recordTransmission(database, message);
      if (transmissions === undefined)
        throw new ClaimLost('the message is claimed by another worker');
      return transmissions;
    },
    stop: () => renewing.stop(),
  };
}

async function renew(state: ClaimState): Promise<void> {
  const { message } = state;
  const { database, log, claimMs } = state.deps;
  const requestedAt = performance.now();
  try {
    const claimedUntil = await renewClaim(database, message, claimMs);
    if (claimedUntil === undefined) return;
    message.claimedUntil = claimedUntil;
    state.heldUntil = requestedAt + claimMs;
  } catch (error) {
    log.warn({ 'labels.outbox_id': message.id, err: maskError(error) }, 'claim renewal failed');
  }
}
