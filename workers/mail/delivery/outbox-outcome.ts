import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import type { Statement } from '../../../shared/database/statements.js';
import { byId, IS_STILL_CLAIMED, type ClaimedMessage } from './outbox-claim.js';

type Claimed = Pick<ClaimedMessage, 'id' | 'generation' | 'deliveryId' | 'claimedUntil'>;

/** How a message is settled: the mail server accepted the mail, or it is obsolete. */
export interface Settlement {
  readonly outcome: 'sent' | 'obsolete';
  /** The server's reply, or why the mail is obsolete; without addresses. */
  readonly response: string;
  readonly providerId?: string | undefined;
}

/** How an attempt failed; without addresses. */
export interface FailedAttempt {
  readonly outcome: 'deferred' | 'refused';
  readonly response: string;
  /** False: the mail is not the cause, so its next attempt has the same number. */
  readonly isCounted: boolean;
  /** True: a transmission was recorded in this attempt, and the server certainly did not accept the mail. */
  readonly isAnswered: boolean;
}

/** A message whose work is done. */
export interface SettledMessage {
  readonly message: Claimed;
  readonly settlement: Settlement;
}

const SETTLE: Statement = {
  name: 'mail_settle',
  text: `
    with done as (
      select * from unnest($1::uuid[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[])
          as done (id, generation, delivery_id, outcome, response, provider_id)
    ), delivery as (
      update deliveries d
         set finished_at = now(), outcome = done.outcome, response = done.response, provider_id = done.provider_id
        from done where d.id = done.delivery_id and d.id = any($3::bigint[])
    )
    update outbox o
       set state = 'settled', outcome = done.outcome, settled_at = now(), claimed_until = null, last_error = null
      from done
     where o.id = done.id and o.id = any($1::uuid[]) and o.state <> 'settled'
       and (done.outcome = 'sent' or (o.generation = done.generation and o.state not in ('dead', 'uncertain')))
    returning o.id`,
};

/**
 * Records that the work is done, so that no later copy of the job repeats it. A mail that was sent settles the message even
 * if it was dead-lettered or redriven meanwhile. Resolves to the ids of the messages that were open.
 */
export async function settleMessages(
  { statements }: Database,
  settled: readonly SettledMessage[],
): Promise<Map<string, true>> {
  const sorted = settled.toSorted((one, other) => byId(one.message, other.message));
  const rows = await statements.run<{ id: string }>(SETTLE, [
    sorted.map(({ message }) => message.id),
    sorted.map(({ message }) => message.generation),
    sorted.map(({ message }) => message.deliveryId),
    sorted.map(({ settlement }) => settlement.outcome),
    sorted.map(({ settlement }) => settlement.response),
    sorted.map(({ settlement }) => settlement.providerId ?? null),
  ]);
  return new Map(rows.map(({ id }) => [id, true]));
}

/** The state of a message after a failed attempt. `open` is retried; an operator decides about the others. */
export type NextState = 'open' | 'dead' | 'uncertain';

/**
 * Records how the attempt failed and releases the claim, so that the next attempt need not wait for it to expire. Resolves
 * to false when the message is not claimed by this worker any more: then only the delivery is recorded.
 */
export async function recordFailedAttempt(
  database: Database,
  { id, generation, deliveryId, claimedUntil }: Claimed,
  { outcome, response, isCounted, isAnswered }: FailedAttempt,
  next: NextState,
): Promise<boolean> {
  const rows = await database.query(
    `with delivery as (
       update deliveries set finished_at = now(), outcome = $outcome, response = $response where id = $deliveryId
     )
     update outbox
        set state = case $next when 'open' then state else $next end, claimed_until = null, last_error = $response,
            given_up_at = case $next when 'open' then given_up_at else now() end,
            attempts = attempts - $uncounted, unanswered = unanswered - $answered
      where id = $id and ${IS_STILL_CLAIMED} returning id`,
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
