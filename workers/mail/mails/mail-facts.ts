import { idIn, uuidIn } from '../../../shared/database/ids.js';
import type { ConfirmationPurpose } from '../../../shared/models/index.js';

/** What mails are composed of, besides their payload: the rows as they were when the message was claimed. */
export interface MailFacts {
  /** The confirmation that the payload names, unless it is gone. */
  readonly confirmation: DueConfirmation | undefined;
  /** The admin whom the payload names; nothing when the account is gone. */
  readonly admin: NotifiedAdmin | undefined;
  /**
   * The address had no other message within a day, has no other open link, and is not suppressed: no limit can apply to the
   * mail, and no link is superseded by it.
   */
  readonly isOnlyMail: boolean;
}

/** A confirmation with the facts about its address. */
export interface DueConfirmation {
  readonly confirmationId: string;
  readonly purpose: ConfirmationPurpose;
  readonly email: string;
  readonly nonce: Buffer;
  readonly expiresAt: Date;
  readonly now: Date;
  readonly isUsed: boolean;
  readonly isReplaced: boolean;
  readonly isExpired: boolean;
  /** Another mail for the same registration is due as well. */
  readonly isRepeated: boolean;
  /** The address has a registration that is not confirmed. */
  readonly isRegistered: boolean;
  /** The admin who has the address. */
  readonly ownerName: string | null;
  readonly ownerEmail: string | null;
  /** The admin who asked for a change to it. */
  readonly requesterName: string | null;
}

interface NotifiedAdmin {
  readonly adminName: string;
  readonly adminEmail: string;
}

/** The columns of {@link MAIL_FACTS}: all null for what is not there. */
export type MailFactsRow = {
  readonly [F in keyof (DueConfirmation & NotifiedAdmin)]:
    | (DueConfirmation & NotifiedAdmin)[F]
    | null;
} & { readonly isOnlyMail: boolean | null };

/** Twice as long as the API remembers registrations that it has seen. */
const REPEATED_WITHIN_SECONDS = 60;

/**
 * Selects the facts about the message `o` of the outbox. A payload that does not fit its contract has none. `limit 1` and
 * `offset 0` keep the planner from anything but look-ups by index.
 */
export const MAIL_FACTS = `
  select c.*, a.*,
         not exists (select from outbox other
                      where lower(other.recipient) = lower(o.recipient) and other.id <> o.id
                        and other.created_at > now() - interval '1 day' offset 0)
           and not exists (select from confirmations other
                            where other.email_canonical = lower(o.recipient)
                              and other.id is distinct from c."confirmationId"
                              and other.confirmed_at is null and other.superseded_at is null offset 0)
           and not exists (select from suppressions s where s.email_canonical = lower(o.recipient))
           as "isOnlyMail"
    from (values (${uuidIn("o.payload->>'confirmation_id'")},
                  ${idIn("o.payload->>'admin_id'")}))
           as named (confirmation_id, admin_id)
    left join lateral (
      select c.id as "confirmationId", c.purpose, c.email, c.nonce, c.expires_at as "expiresAt", now() as now,
             c.confirmed_at is not null as "isUsed",
             c.superseded_at is not null as "isReplaced",
             c.expires_at <= now() as "isExpired",
             c.repeated and exists (
               select from confirmations other
                where other.email_canonical = c.email_canonical and other.id <> c.id and not other.repeated
                  and other.purpose = 'registration'
                  and other.superseded_at is null and other.confirmed_at is null and other.expires_at > now()
                  and abs(extract(epoch from other.created_at - c.created_at)) < ${REPEATED_WITHIN_SECONDS}
             ) as "isRepeated",
             exists (select from registrations r where r.email_canonical = c.email_canonical) as "isRegistered",
             owner.name as "ownerName", owner.email as "ownerEmail",
             requester.name as "requesterName"
        from (select * from confirmations where id = named.confirmation_id limit 1) c
        left join lateral (select name, email from admins where email_canonical = c.email_canonical limit 1) owner on true
        left join lateral (select name from admins where id = c.admin_id limit 1) requester on true
    ) c on true
    left join lateral (
      select name as "adminName", email as "adminEmail" from admins where id = named.admin_id limit 1
    ) a on true`;

/** The facts in a row of {@link MAIL_FACTS}. */
export const mailFactsOf = (row: MailFactsRow): MailFacts => ({
  confirmation: row.confirmationId === null ? undefined : (row as DueConfirmation),
  admin: row.adminName === null ? undefined : (row as NotifiedAdmin),
  isOnlyMail: row.isOnlyMail === true,
});
