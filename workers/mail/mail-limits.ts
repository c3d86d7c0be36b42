import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { MAX_LINKS_PER_HOUR, scaledLimit } from '../../shared/outbox/mail-limits.js';
import type { LinkTemplate, MailTemplate } from './mail-sources.js';

/** So many mails of a kind to one address within so many seconds, whoever asks for them. */
interface MailLimit {
  readonly max: number;
  readonly seconds: number;
}

const HOUR = 3_600;
const links: Record<LinkTemplate, MailLimit> = {
  confirmation: { max: 3, seconds: HOUR },
  email_change: { max: MAX_LINKS_PER_HOUR, seconds: HOUR },
  password_reset: { max: 3, seconds: HOUR },
  first_password: { max: 3, seconds: HOUR },
};
const limits: Record<MailTemplate, MailLimit> = {
  ...links,
  account_exists: { max: 1, seconds: 24 * HOUR },
  password_changed: { max: 3, seconds: HOUR },
  email_change_requested: { max: 3, seconds: HOUR },
  session_ended_by_reuse: { max: 3, seconds: HOUR },
};
const linkTemplates = Object.keys(links);

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
 *   serves every registration of the address.
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
  { outboxId, template, address }: DueMail,
  scale: number,
): Promise<boolean> {
  const { max, seconds } = limits[template];
  const rows = await database.query(
    `with recent as (
       select template, extract(epoch from now() - created_at) as age
         from outbox
        where lower(recipient) = $address and id <> $outboxId and template is not null
          and outcome is distinct from 'obsolete' and created_at > now() - interval '1 day'
     )
     update outbox set template = $template
      where id = $outboxId
        and (select count(*) from recent where template = $template and age < $seconds) < $max
        and ($template <> all ($linkTemplates::text[]) or
             (select count(*) from recent where template = any ($linkTemplates::text[]) and age < ${HOUR}) < $maxLinks)
     returning id`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: {
        ...{ outboxId, template, address, seconds, linkTemplates },
        max: scaledLimit(max, scale),
        maxLinks: scaledLimit(MAX_LINKS_PER_HOUR, scale),
      },
    },
  );
  return rows.length > 0;
}

/** In the order in which the API holds them: two that wait for each other would cost a second. */
async function voidOlder(database: Database, tx: Transaction, id: string): Promise<void> {
  await database.query(
    `with older as (
       select c.id from confirmations c join confirmations sent on sent.email_canonical = c.email_canonical
        where sent.id = $id and c.id <> sent.id and c.created_at <= sent.created_at
          and c.admin_id is not distinct from sent.admin_id
          and (c.purpose = sent.purpose
               or c.purpose in ('registration', 'resend') and sent.purpose in ('registration', 'resend'))
          and c.confirmed_at is null and c.superseded_at is null
        order by c.id for update of c
     )
     update confirmations set superseded_at = now() where id in (select id from older)`,
    { type: QueryTypes.UPDATE, transaction: tx, bind: { id } },
  );
}
