import { QueryTypes } from 'sequelize';
import type { Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { readId } from '../../shared/database/ids.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { canonicalName } from '../../shared/identity/person-name.js';
import {
  requestConfirmation,
  type RequestConfirmationDeps,
} from '../mailed-links/confirmations.js';
import { IntegerId, pageOf, placeOf, type Page, type PageRequest } from './keyset.js';
import { readPasswordLocks, type PasswordLock } from './password-locks.service.js';
import { isSuppressed } from './mail/suppressions.service.js';

interface Reads {
  readonly database: Database;
}

/** An admin, as an operator sees it. */
export interface AdminSummary {
  readonly id: number;
  readonly email: string;
  readonly email_canonical: string;
  readonly name: string;
  /** When an operator granted it the role; `OPERATOR_EMAILS` may grant it as well. */
  readonly operator_since: Date | null;
  readonly confirmed_at: Date;
  readonly created_at: Date;
  readonly live_sessions: number;
}

/** Registrations of one address that no followed link has confirmed. */
export interface PendingRegistration {
  readonly email: string;
  readonly name: string;
  readonly times: number;
  readonly newest_at: Date;
}

const SUMMARY = `a.id, a.email, a.email_canonical, a.name, a.operator_since, a.confirmed_at, a.created_at,
  (select count(*)::int from sessions s where s.admin_id = a.id and s.ended_at is null and s.expires_at > now()) as live_sessions`;
const MAX_REGISTRATIONS = 50;
/** Without a text, addresses are looked for in so many of the newest registrations. */
const NEWEST_REGISTRATIONS = 1_000;
const MAX_SESSIONS = 100;

/** Admins whose address or name begins with a text, or whose id it is, the oldest first; all of them for an empty one. */
export async function searchAdmins(
  { database }: Reads,
  text: string,
  { limit, cursor }: PageRequest,
): Promise<Page<AdminSummary>> {
  const [after] = placeOf(IntegerId, cursor) ?? ['0'];
  const found = await database.query<AdminSummary>(
    `select ${SUMMARY} from admins a
      where a.id > $after::bigint
        and (starts_with(a.email_canonical, $email) or starts_with(a.name_canonical, $name) or a.id = $id)
      order by a.id limit $limit`,
    {
      type: QueryTypes.SELECT,
      bind: {
        after,
        email: text.trim().toLowerCase(),
        name: canonicalName(text.trim()),
        id: readId(text.trim()) ?? null,
        limit: limit + 1,
      },
    },
  );
  return pageOf(found, limit, ({ id }) => [String(id)]);
}

/**
 * Registrations that wait for confirmation, of addresses or names that begin with a text: 50 addresses, the newest first. For
 * an empty text, those of the newest 1,000 registrations.
 */
export function searchRegistrations(
  { database }: Reads,
  text: string,
): Promise<PendingRegistration[]> {
  if (text.trim() === '') return newestRegistrations(database);
  return database.query<PendingRegistration>(
    `select max(email) as email, max(name) as name, count(*)::int as times, max(created_at) as newest_at
       from registrations
      where starts_with(email_canonical, $email) or starts_with(name_canonical, $name)
      group by email_canonical order by newest_at desc, email_canonical limit $limit`,
    {
      type: QueryTypes.SELECT,
      bind: {
        email: text.trim().toLowerCase(),
        name: canonicalName(text.trim()),
        limit: MAX_REGISTRATIONS,
      },
    },
  );
}

/** The newest of an address is among the newest of all; how many it has is then counted by its index. */
const newestRegistrations = (database: Database): Promise<PendingRegistration[]> =>
  database.query<PendingRegistration>(
    `select r.email, r.name, r.times, page.newest_at
       from (select email_canonical, max(created_at) as newest_at
               from (select email_canonical, created_at from registrations
                      order by created_at desc limit ${NEWEST_REGISTRATIONS}) newest
              group by email_canonical order by newest_at desc, email_canonical limit $limit) page
      cross join lateral (select max(email) as email, max(name) as name, count(*)::int as times
                            from registrations where email_canonical = page.email_canonical) r
      order by page.newest_at desc, page.email_canonical`,
    { type: QueryTypes.SELECT, bind: { limit: MAX_REGISTRATIONS } },
  );

/** A live session of an admin. */
export interface LiveSession {
  readonly id: number;
  readonly ip: string | null;
  readonly user_agent: string | null;
  /** True for a session of the console, which has no tokens. */
  readonly is_console: boolean;
  readonly created_at: Date;
  readonly last_used_at: Date;
  readonly expires_at: Date;
}

/** What is known of an admin, besides its mails: the timeline of its address has those. */
export interface AdminDetails extends AdminSummary {
  /** The address that waits to be confirmed. */
  readonly pending_email: string | null;
  readonly users: number;
  /** The newest 100. */
  readonly sessions: readonly LiveSession[];
  /** Limits on guessing its password that refuse attempts now. */
  readonly locks: readonly PasswordLock[];
}

/** @throws {AppError} `not_found`. */
export async function readAdminDetails(
  { database }: Reads,
  which: { readonly id: number } | EmailAddress,
): Promise<AdminDetails> {
  const [admin] = await database.query<Omit<AdminDetails, 'sessions' | 'locks'>>(
    `select ${SUMMARY}, a.pending_email, (select count(*)::int from users u where u.admin_id = a.id) as users
       from admins a where ${'id' in which ? 'a.id = $which' : 'a.email_canonical = $which'}`,
    {
      type: QueryTypes.SELECT,
      bind: { which: 'id' in which ? which.id : which.canonical },
    },
  );
  if (!admin) throw new AppError('not_found', { detail: 'there is no such admin' });
  // A range, sorted by the admin too: the planner would read the newest sessions of all admins for one that it knows.
  const sessions = await database.query<LiveSession>(
    `select id, ip, user_agent, console_hash is not null as is_console, created_at, last_used_at, expires_at
       from sessions where admin_id between $id and $id and ended_at is null and expires_at > now()
      order by admin_id desc, id desc limit $limit`,
    { type: QueryTypes.SELECT, bind: { id: admin.id, limit: MAX_SESSIONS } },
  );
  return { ...admin, sessions, locks: await readPasswordLocks({ database }, admin.id) };
}

/**
 * Sends the registration of an address another link, as if its owner had asked for one: the worker applies the limits of
 * mails to one address. Resolves to whether it does: nothing is sent to a suppressed address.
 * @throws {AppError} `not_found` when no registration of the address waits for confirmation.
 */
export async function sendConfirmation(
  deps: RequestConfirmationDeps,
  email: EmailAddress,
  cause: Cause,
): Promise<'requested' | 'suppressed'> {
  const [row] = await deps.database.query<{ found: boolean }>(
    `select exists (select from registrations where email_canonical = $canonical)
        and not exists (select from admins where email_canonical = $canonical) as found`,
    { type: QueryTypes.SELECT, bind: { canonical: email.canonical } },
  );
  if (!row?.found)
    throw new AppError('not_found', {
      detail: 'no registration of this address waits for confirmation',
    });
  if (await isSuppressed(deps, email)) return 'suppressed';
  const request = { purpose: 'resend', email } as const;
  await requestConfirmation(deps, request, 'confirmation_requested_by_operator', cause);
  return 'requested';
}
