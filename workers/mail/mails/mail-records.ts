import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import type { Statement } from '../../../shared/database/statements.js';
import type { ConfirmationPurpose } from '../../../shared/models/index.js';
import { groupCommit, type Grouped } from '../../../shared/database/group-commit.js';
import { countMails, type DueMail, type MailCount } from './mail-limits.js';

/** The statements that mails are composed with; concurrent mails share them. */
export interface MailRecords {
  readonly findConfirmation: Grouped<string, ConfirmationRow>;
  /** An admin's name and current address; nothing when the account is gone. */
  readonly findAdmin: Grouped<number, AdminRow>;
  readonly countMail: Grouped<DueMail, MailCount>;
}

/** A confirmation with the current facts about its address. */
export interface ConfirmationRow {
  readonly id: string;
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

interface AdminRow {
  readonly id: number;
  readonly name: string;
  readonly email: string;
}

/** Twice as long as the API remembers registrations that it has seen. */
const REPEATED_WITHIN_SECONDS = 60;

/** The statements over a database. */
export function createMailRecords({
  database,
  rateLimitScale,
}: {
  readonly database: Database;
  readonly rateLimitScale: number;
}): MailRecords {
  return {
    findConfirmation: groupCommit(
      (id) => id,
      (ids) => findConfirmations(database, ids),
    ),
    findAdmin: groupCommit(
      (id) => String(id),
      (ids) => findAdmins(database, ids),
    ),
    countMail: groupCommit(
      ({ address }) => address,
      (due) => countMails(database, due, rateLimitScale),
    ),
  };
}

/** `limit 1` keeps the planner from anything but look-ups by index. */
const FIND_CONFIRMATIONS: Statement = {
  name: 'mail_find_confirmations',
  text: `
    select c.id, c.purpose, c.email, c.nonce, c.expires_at as "expiresAt", now() as now,
            c.confirmed_at is not null as "isUsed",
            c.superseded_at is not null as "isReplaced",
            c.expires_at <= now() as "isExpired",
            c.repeated and exists (
              select from confirmations other
               where other.email_canonical = c.email_canonical and other.id <> c.id and not other.repeated
                 and other.purpose = 'registration'
                 and other.superseded_at is null and other.confirmed_at is null and other.expires_at > now()
                 and abs(extract(epoch from other.created_at - c.created_at)) < $2::int
            ) as "isRepeated",
            exists (select from registrations r where r.email_canonical = c.email_canonical) as "isRegistered",
            owner.name as "ownerName", owner.email as "ownerEmail",
            requester.name as "requesterName"
       from unnest($1::uuid[]) as due (id)
      cross join lateral (select * from confirmations where id = due.id limit 1) c
       left join lateral (select name, email from admins where email_canonical = c.email_canonical limit 1) owner on true
       left join lateral (select name from admins where id = c.admin_id limit 1) requester on true`,
};

async function findConfirmations(
  { statements }: Database,
  ids: readonly string[],
): Promise<Map<string, ConfirmationRow>> {
  const values = [ids, REPEATED_WITHIN_SECONDS];
  const rows = await statements.run<ConfirmationRow>(FIND_CONFIRMATIONS, values);
  return new Map(rows.map((row) => [row.id, row]));
}

async function findAdmins(
  database: Database,
  ids: readonly number[],
): Promise<Map<string, AdminRow>> {
  const rows = await database.query<AdminRow>(
    'select id, name, email from admins where id = any($1::int[])',
    { type: QueryTypes.SELECT, bind: [ids] },
  );
  return new Map(rows.map((row) => [String(row.id), row]));
}
