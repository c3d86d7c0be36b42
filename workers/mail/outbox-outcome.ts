import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import type { ClaimedMessage } from './outbox-claim.js';

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
}

/** Nobody has claimed the message since, and no operator has decided about it. */
const IS_STILL_OURS = `generation = $generation and state in ('pending', 'enqueued')
        and claimed_until = $claimedUntil::timestamptz`;

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
        and ($outcome = 'sent' or (generation = $generation and state <> 'dead'))
     returning id`,
    {
      type: QueryTypes.SELECT,
      bind: { id, generation, deliveryId, outcome, response, providerId: providerId ?? null },
    },
  );
  return rows.length > 0;
}

/**
 * Records how the try failed and gives the claim back, so that the next try need not wait for it to run out. Resolves to
 * false when the claim was this worker's no more: then only the delivery is recorded.
 */
export async function releaseMessage(
  database: Database,
  { id, generation, deliveryId, claimedUntil }: Claimed,
  { outcome, response, isCounted }: Failure,
): Promise<boolean> {
  const rows = await database.query(
    `with delivery as (
       update deliveries set finished_at = now(), outcome = $outcome, response = $response where id = $deliveryId
     )
     update outbox set claimed_until = null, last_error = $response, attempts = attempts - $uncounted
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
        uncounted: isCounted ? 0 : 1,
      },
    },
  );
  return rows.length > 0;
}

/**
 * Records how the last try failed and gives the message up; an operator decides what becomes of it. Resolves to false
 * when the claim was this worker's no more: then only the delivery is recorded.
 */
export async function buryMessage(
  database: Database,
  { id, generation, deliveryId, claimedUntil }: Claimed,
  { outcome, response }: Failure,
): Promise<boolean> {
  const rows = await database.query(
    `with delivery as (
       update deliveries set finished_at = now(), outcome = $outcome, response = $response where id = $deliveryId
     )
     update outbox set state = 'dead', claimed_until = null, last_error = $response
      where id = $id and ${IS_STILL_OURS} returning id`,
    {
      type: QueryTypes.SELECT,
      bind: { id, generation, deliveryId, claimedUntil, outcome, response },
    },
  );
  return rows.length > 0;
}
