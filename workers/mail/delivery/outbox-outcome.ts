import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import { IS_STILL_OURS, type ClaimedMessage } from './outbox-claim.js';

type Claimed = Pick<ClaimedMessage, 'id' | 'generation' | 'deliveryId' | 'claimedUntil'>;

/** How a message is settled: the mail server has it, or nobody needs it any more. */
export interface Settlement {
  readonly outcome: 'sent' | 'obsolete';
  /** What the server said, or why the mail is not needed; without addresses. */
  readonly response: string;
  readonly providerId?: string | undefined;
}

/** How a try failed; without addresses. */
export interface Failure {
  readonly outcome: 'deferred' | 'refused';
  readonly response: string;
  /** False: the mail is not to blame, so its next try has the same number. */
  readonly isCounted: boolean;
  /** True: the content was to be handed over in this try, and the server surely does not have the mail. */
  readonly isAnswered: boolean;
}

/**
 * The marker: records that the work is done, so that no later copy of the job does it again. A mail that was sent
 * settles the message even if it was given up or redriven meanwhile. Resolves to false when there was nothing to settle.
 */
export async function settleMessage(
  database: Database,
  { id, generation, deliveryId }: Claimed,
  { outcome, response, providerId }: Settlement,
): Promise<boolean> {
  const rows = await database.query(
    `with delivery as (
       update deliveries
          set finished_at = now(), outcome = $outcome, response = $response, provider_id = $providerId
        where id = $deliveryId
     )
     update outbox
        set state = 'settled', outcome = $outcome, settled_at = now(), claimed_until = null, last_error = null
      where id = $id and state <> 'settled'
        and ($outcome = 'sent' or (generation = $generation and state not in ('dead', 'uncertain')))
     returning id`,
    {
      type: QueryTypes.SELECT,
      bind: { id, generation, deliveryId, outcome, response, providerId: providerId ?? null },
    },
  );
  return rows.length > 0;
}

/** What becomes of a message whose try failed: tried again, given up, or perhaps sent. An operator decides about the latter two. */
export type NextState = 'open' | 'dead' | 'uncertain';

/**
 * Records how the try failed and gives the claim back, so that a next try need not wait for it to run out. Resolves to
 * false when the claim was this worker's no more: then only the delivery is recorded.
 */
export async function recordFailedTry(
  database: Database,
  { id, generation, deliveryId, claimedUntil }: Claimed,
  { outcome, response, isCounted, isAnswered }: Failure,
  next: NextState,
): Promise<boolean> {
  const rows = await database.query(
    `with delivery as (
       update deliveries set finished_at = now(), outcome = $outcome, response = $response where id = $deliveryId
     )
     update outbox
        set state = case $next when 'open' then state else $next end, claimed_until = null, last_error = $response,
            attempts = attempts - $uncounted, unanswered = unanswered - $answered
      where id = $id and ${IS_STILL_OURS} returning id`,
    {
      type: QueryTypes.SELECT,
      bind: {
        id,
        generation,
        deliveryId,
        claimedUntil,
        outcome,
        response,
        next,
        uncounted: isCounted ? 0 : 1,
        answered: isAnswered ? 1 : 0,
      },
    },
  );
  return rows.length > 0;
}
