import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../../shared/database/transaction.js';
import { MAX_LINKS_PER_HOUR, scaledLimit } from '../../../shared/jobs/mail-jobs.js';

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

/**
 * Counts a mail against the limits of its address and stores its template. A link supersedes older ones to the same
 * address that have the same effect. Idempotent.
 * @returns false, and changes nothing, when the address is over its limit: its owner has an earlier link, which still works
 *   and is good for every registration of the address, or has had twice as many.
 */
export function countMail(
  database: Database,
  due: DueMail,
  rateLimitScale: number,
): Promise<boolean> {
  return withTransaction(database, async (tx) => {
    // Serializes workers that count mails to one address.
    await database.query(
      `select pg_advisory_xact_lock(hashtextextended('rollcall/mails-to ' || $address, 0))`,
      { type: QueryTypes.SELECT, transaction: tx, bind: { address: due.address } },
    );
    if (!(await isWithinLimits(database, tx, due, rateLimitScale))) return false;
    if (due.confirmationId !== undefined) await supersedeOlder(database, tx, due.confirmationId);
    return true;
  });
}

async function isWithinLimits(
  database: Database,
  tx: Transaction,
  { outboxId, template, limit: { max, seconds }, address, confirmationId }: DueMail,
  scale: number,
): Promise<boolean> {
  const rows = await database.query(
    `with recent as (
       select template, extract(epoch from now() - created_at) as age
         from outbox
        where lower(recipient) = $address and id <> $outboxId and template is not null
          and outcome is distinct from 'obsolete' and created_at > now() - interval '1 day'
     ), allowed as (
       select case when $confirmationId::uuid is null or $template <> all ($proofTemplates::text[])
                     or exists (${EQUIVALENT_LINK}) then 1
                   else ${FACTOR_WITHOUT_LINK} end as factor
     )
     update outbox set template = $template
       from allowed
      where id = $outboxId
        and (select count(*) from recent where template = $template and age < $seconds) < $max * factor
        and ($template <> all ($proofTemplates::text[]) or
             (select count(*) from recent where template = any ($proofTemplates::text[]) and age < ${HOUR})
               < $maxLinks * factor)
     returning id`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: {
        ...{ outboxId, template, address, seconds, proofTemplates: PROOF_TEMPLATES },
        confirmationId: confirmationId ?? null,
        max: scaledLimit(max, scale),
        maxLinks: scaledLimit(MAX_LINKS_PER_HOUR, scale),
      },
    },
  );
  return rows.length > 0;
}

/** A link with the same effect as this one that still works, and was sent or is about to be. */
const EQUIVALENT_LINK = `
  select from confirmations c
    join confirmations due on due.id = $confirmationId::uuid and due.email_canonical = c.email_canonical
    join outbox o on o.payload->>'confirmation_id' = c.id::text
   where c.id <> due.id and ${haveSameEffect('c', 'due')}
     and c.confirmed_at is null and c.superseded_at is null and c.expires_at > now()
     and lower(o.recipient) = $address and o.template is not null
     and (o.outcome = 'sent' or o.state in ('pending', 'enqueued'))`;

/** Whether two confirmations of one address have the same effect. */
function haveSameEffect(one: string, other: string): string {
  const registers = "('registration', 'resend')";
  return `${one}.admin_id is not distinct from ${other}.admin_id
     and (${one}.purpose = ${other}.purpose
          or ${one}.purpose in ${registers} and ${other}.purpose in ${registers})`;
}

/** Locks rows in the same order as the API does, as a deadlock would cost a second. */
async function supersedeOlder(database: Database, tx: Transaction, id: string): Promise<void> {
  await database.query(
    `with older as (
       select c.id from confirmations c join confirmations sent on sent.email_canonical = c.email_canonical
        where sent.id = $id and c.id <> sent.id and c.created_at <= sent.created_at
          and ${haveSameEffect('c', 'sent')}
          and c.confirmed_at is null and c.superseded_at is null
        order by c.id for update of c
     )
     update confirmations set superseded_at = now() where id in (select id from older)`,
    { type: QueryTypes.UPDATE, transaction: tx, bind: { id } },
  );
}
