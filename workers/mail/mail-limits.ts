import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { MAX_LINKS_PER_HOUR, scaledLimit } from '../../shared/jobs/mail-jobs.js';
import type { LinkTemplate, MailTemplate } from './mail-sources.js';

/** So many mails of a kind to one address within so many seconds, whoever asks for them. */
interface MailLimit {
  readonly max: number;
  readonly seconds: number;
}

const HOUR = 3_600;
const proofs = {
  confirmation: { max: 3, seconds: HOUR },
  password_reset: { max: 3, seconds: HOUR },
  first_password: { max: 3, seconds: HOUR },
} as const satisfies Partial<Record<LinkTemplate, MailLimit>>;
const limits: Record<MailTemplate, MailLimit> = {
  ...proofs,
  // Apart from the others: accounts of strangers that want the address use up nothing that its owner needs.
  email_change: { max: MAX_LINKS_PER_HOUR, seconds: HOUR },
  account_exists: { max: 1, seconds: 24 * HOUR },
  password_changed: { max: 3, seconds: HOUR },
  email_change_requested: { max: 3, seconds: HOUR },
  session_ended_by_reuse: { max: 3, seconds: HOUR },
};
/** Templates that are limited together as well. */
const proofTemplates = Object.keys(proofs);
/** Without a link that works the owner is owed one, up to so many times the limit: a mailbox cannot be flooded either. */
const FACTOR_WITHOUT_LINK = 2;

/** A mail that is about to be sent. */
export interface DueMail {
  readonly outboxId: string;
  readonly template: MailTemplate;
  /** Canonical. */
  readonly address: string;
  /** The confirmation whose link it holds. */
  readonly confirmationId?: string | undefined;
}

/**
 * Counts a mail against the limits of its address and records which mail it is. A link voids the older ones to the same
 * address that would do the same. Counting twice is counting once.
 * @returns false, and changes nothing, when the address has had its share: its owner has the link of an earlier mail, which
 *   still works and serves every registration of the address, or has had twice as many.
 */
export function countMail(
  database: Database,
  due: DueMail,
  rateLimitScale: number,
): Promise<boolean> {
  return withTransaction(database, async (tx) => {
    // Two workers that count mails to one address take turns.
    await database.query(
      `select pg_advisory_xact_lock(hashtextextended('rollcall/mails-to ' || $address, 0))`,
      { type: QueryTypes.SELECT, transaction: tx, bind: { address: due.address } },
    );
    if (!(await isWithinLimits(database, tx, due, rateLimitScale))) return false;
    if (due.confirmationId !== undefined) await voidOlder(database, tx, due.confirmationId);
    return true;
  });
}

async function isWithinLimits(
  database: Database,
  tx: Transaction,
  { outboxId, template, address, confirmationId }: DueMail,
  scale: number,
): Promise<boolean> {
  const { max, seconds } = limits[template];
  const rows = await database.query(
    `with recent as (
       select template, extract(epoch from now() - created_at) as age
         from outbox
        where lower(recipient) = $address and id <> $outboxId and template is not null
          and outcome is distinct from 'obsolete' and created_at > now() - interval '1 day'
     ), allowed as (
       select case when $confirmationId::uuid is null or $template <> all ($proofTemplates::text[])
                     or exists (${LINK_THAT_SERVES}) then 1
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
        ...{ outboxId, template, address, seconds, proofTemplates },
        confirmationId: confirmationId ?? null,
        max: scaledLimit(max, scale),
        maxLinks: scaledLimit(MAX_LINKS_PER_HOUR, scale),
      },
    },
  );
  return rows.length > 0;
}

/** A link that would do the same as this one, still works, and was sent or is on its way. */
const LINK_THAT_SERVES = `
  select from confirmations c
    join confirmations due on due.id = $confirmationId::uuid and due.email_canonical = c.email_canonical
    join outbox o on o.payload->>'confirmation_id' = c.id::text
   where c.id <> due.id and ${doTheSame('c', 'due')}
     and c.confirmed_at is null and c.superseded_at is null and c.expires_at > now()
     and lower(o.recipient) = $address and o.template is not null
     and (o.outcome = 'sent' or o.state in ('pending', 'enqueued'))`;

/** Whether two confirmations of one address lead to the same. */
function doTheSame(one: string, other: string): string {
  const registers = "('registration', 'resend')";
  return `${one}.admin_id is not distinct from ${other}.admin_id
     and (${one}.purpose = ${other}.purpose
          or ${one}.purpose in ${registers} and ${other}.purpose in ${registers})`;
}

/** In the order in which the API holds them: two that wait for each other would cost a second. */
async function voidOlder(database: Database, tx: Transaction, id: string): Promise<void> {
  await database.query(
    `with older as (
       select c.id from confirmations c join confirmations sent on sent.email_canonical = c.email_canonical
        where sent.id = $id and c.id <> sent.id and c.created_at <= sent.created_at
          and ${doTheSame('c', 'sent')}
          and c.confirmed_at is null and c.superseded_at is null
        order by c.id for update of c
     )
     update confirmations set superseded_at = now() where id in (select id from older)`,
    { type: QueryTypes.UPDATE, transaction: tx, bind: { id } },
  );
}
