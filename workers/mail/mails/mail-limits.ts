import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import type { Grouped } from '../../../shared/database/group-commit.js';
import { withTransaction, type Transaction } from '../../../shared/database/transaction.js';
import { MAX_LINKS_PER_HOUR } from '../../../shared/jobs/mail-jobs.js';
import { scaledLimit } from '../../../shared/scaled-limit.js';

/** How many mails of a kind one address gets within so many seconds, whoever asks for them. */
export interface MailLimit {
  readonly max: number;
  readonly seconds: number;
}

const HOUR = 3_600;
/** The limit of a mail that names none of its own. */
export const USUAL_LIMIT: MailLimit = { max: 3, seconds: HOUR };
/** Mails with links that prove an address: they share a limit besides. */
const PROOF_TEMPLATES = ['confirmation', 'password_reset', 'first_password'] as const;
export type ProofTemplate = (typeof PROOF_TEMPLATES)[number];
/** An owner without a link that works gets up to so many times the limit, so that a mailbox cannot be flooded either. */
const FACTOR_WITHOUT_LINK = 2;

/** A mail that is about to be sent. */
export interface DueMail {
  readonly outboxId: string;
  readonly template: string;
  readonly limit: MailLimit;
  /** Canonical. */
  readonly address: string;
  /** The confirmation whose link it holds. */
  readonly confirmationId?: string | undefined;
}

/** Counts one mail, together with others that are due at the same time. */
export type CountMail = Grouped<DueMail, MailCount>;

/** `suppressed`: no mail may be sent to the address. */
export type MailCount = 'counted' | 'over limit' | 'suppressed';

/**
 * Counts mails to different addresses against the limits of each, and stores their templates. A link supersedes older ones to
 * the same address that have the same effect. Idempotent. Nothing changes for an address that is over its limit: its owner
 * has an earlier link, which still works and is good for every registration of the address, or has had twice as many.
 * @returns the results by address.
 */
export function countMails(
  database: Database,
  due: readonly DueMail[],
  rateLimitScale: number,
): Promise<Map<string, MailCount>> {
  return withTransaction(database, async (tx) => {
    await lockAddresses(
      database,
      tx,
      due.map(({ address }) => address),
    );
    return countWithinLimits(database, tx, due, rateLimitScale);
  });
}

/** Serializes workers that count mails to one address; all lock in the same order, so that no two deadlock. */
async function lockAddresses(
  database: Database,
  tx: Transaction,
  addresses: readonly string[],
): Promise<void> {
  await database.query(
    `select pg_advisory_xact_lock(key)
       from (select hashtextextended('rollcall/mails-to ' || address, 0) as key
               from unnest($1::text[]) as address order by key) as keys`,
    { type: QueryTypes.SELECT, transaction: tx, bind: [addresses] },
  );
}

async function countWithinLimits(
  database: Database,
  tx: Transaction,
  due: readonly DueMail[],
  scale: number,
): Promise<Map<string, MailCount>> {
  const rows = await database.query<{ address: string; count: MailCount }>(COUNT_MAILS, {
    type: QueryTypes.SELECT,
    transaction: tx,
    bind: [
      due.map(({ outboxId }) => outboxId),
      due.map(({ address }) => address),
      due.map(({ template }) => template),
      due.map(({ confirmationId }) => confirmationId ?? null),
      due.map(({ limit }) => scaledLimit(limit.max, scale)),
      due.map(({ limit }) => limit.seconds),
      PROOF_TEMPLATES,
      scaledLimit(MAX_LINKS_PER_HOUR, scale),
    ],
  });
  return new Map(rows.map(({ address, count }) => [address, count]));
}

/** Whether two confirmations of one address have the same effect. */
function haveSameEffect(one: string, other: string): string {
  const registers = "('registration', 'resend')";
  return `${one}.admin_id is not distinct from ${other}.admin_id
     and (${one}.purpose = ${other}.purpose
          or ${one}.purpose in ${registers} and ${other}.purpose in ${registers})`;
}

/**
 * A link with the same effect as the one that is due, which still works and was sent or is about to be. `offset 0` keeps the
 * planner from joining the tables as wholes: indexes find the rows. A confirmation and its message are written in one
 * transaction, so their times are the same: the bound is for an address with very many mails.
 */
const EQUIVALENT_LINK = `
  select from confirmations sent
   cross join lateral (
     select c.id, c.created_at from confirmations c
      where c.email_canonical = sent.email_canonical and c.id <> sent.id and ${haveSameEffect('c', 'sent')}
        and c.confirmed_at is null and c.superseded_at is null and c.expires_at > now()
     offset 0
   ) c
   cross join lateral (
     select from outbox o
      where lower(o.recipient) = due.address
        and o.created_at between c.created_at - interval '1 minute' and c.created_at + interval '1 minute'
        and o.template is not null and o.payload->>'confirmation_id' = c.id::text
        and (o.outcome = 'sent' or o.state in ('pending', 'enqueued'))
     offset 0
   ) o
   where sent.id = due.confirmation_id`;

/** Locks confirmations in the same order as the API does, as a deadlock would cost a second. */
const COUNT_MAILS = `
  with due as (
    select due.*, confirmation_id is not null and template = any ($7::text[]) as is_proof,
           exists (select from suppressions s where s.email_canonical = due.address) as is_suppressed
      from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::int[], $6::int[])
        as due (outbox_id, address, template, confirmation_id, max, seconds)
  ), allowed as materialized (
    select due.outbox_id, recent.*,
           case when is_proof and not exists (${EQUIVALENT_LINK}) then ${FACTOR_WITHOUT_LINK} else 1 end as factor
      from due
     cross join lateral (
       select count(*) filter (where o.template = due.template and o.created_at > now() - due.seconds * interval '1 second')
                as alike,
              count(*) filter (where o.template = any ($7::text[]) and o.created_at > now() - interval '1 hour') as links
         from outbox o
        where lower(o.recipient) = due.address and o.id <> due.outbox_id and o.template is not null
          and o.outcome is distinct from 'obsolete'
          and o.created_at > now() - greatest(due.seconds, ${HOUR}) * interval '1 second'
     ) recent
  ), counted as (
    update outbox o set template = due.template
      from due
      join allowed using (outbox_id)
     where o.id = due.outbox_id and not due.is_suppressed and alike < due.max * factor
       and (due.template <> all ($7::text[]) or links < $8 * factor)
    returning o.id
  ), older as (
    select c.id
      from due
      join counted on counted.id = due.outbox_id
      join confirmations sent on sent.id = due.confirmation_id
      join confirmations c on c.email_canonical = sent.email_canonical
     where c.id <> sent.id and c.created_at <= sent.created_at and ${haveSameEffect('c', 'sent')}
       and c.confirmed_at is null and c.superseded_at is null
     order by c.id for update of c
  ), superseded as (
    update confirmations set superseded_at = now() where id in (select id from older)
  )
  select due.address,
         case when due.is_suppressed then 'suppressed' when counted.id is null then 'over limit' else 'counted' end as count
    from due left join counted on counted.id = due.outbox_id`;
