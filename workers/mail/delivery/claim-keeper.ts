import type { Database } from '../../../shared/database/connect.js';
import { startRepeating } from '../../../shared/lifecycle/repeat.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { maskError } from '../../mask.js';
import { handOverContent, renewClaim, type ClaimedMessage } from './outbox-claim.js';

export interface ClaimKeeperDeps {
  readonly database: Database;
  readonly log: Logger;
  /** How long a claim lasts. */
  readonly claimMs: number;
}

/** Keeps a message this worker's for as long as it is worked on. */
export interface ClaimKeeper {
  /** For so many milliseconds the claim is surely held, even if it cannot be renewed any more. */
  heldForMs(): number;
  /**
   * Records that the content is handed over from now on; resolves to how often it was without an answer, this time
   * included. @throws {ClaimLost} if somebody else has claimed the message, or an operator decided about it.
   */
  handOver(): Promise<number>;
  /** Renews no more, and resolves when the claim stands as `claimedUntil` has it. Safe twice. */
  stop(): Promise<void>;
}

/** The message is not this worker's any more. */
export class ClaimLost extends Error {
  override readonly name = 'ClaimLost';
}

/**
 * Renews a claim three times in its life, until stopped. A renewal that fails is told and tried again: the claim is then
 * lost only if somebody else takes it.
 * @param claimedAt when the claim was asked for, by the monotonic clock.
 */
export function keepClaim(
  { database, log, claimMs }: ClaimKeeperDeps,
  message: ClaimedMessage,
  claimedAt: number,
): ClaimKeeper {
  let heldUntil = claimedAt + claimMs;
  let renewal: Promise<void> = Promise.resolve();

  const renew = async (): Promise<void> => {
    const askedAt = performance.now();
    try {
      const claimedUntil = await renewClaim(database, message, claimMs);
      if (claimedUntil === undefined) return;
      message.claimedUntil = claimedUntil;
      heldUntil = askedAt + claimMs;
    } catch (error) {
      log.warn({ 'labels.outbox_id': message.id, err: maskError(error) }, 'claim renewal failed');
    }
  };
  const pauseMs = claimMs / 3;
  const renewing = startRepeating(async () => {
    await (renewal = renew());
    return pauseMs;
  }, pauseMs);

  return {
    heldForMs: () => heldUntil - performance.now(),
    async handOver() {
      // The row bears what the last renewal has written.
      await renewal;
      const times = await handOverContent(database, message);
      if (times === undefined) throw new ClaimLost('the message is claimed by somebody else');
      return times;
    },
    stop: () => renewing.stop(),
  };
}
