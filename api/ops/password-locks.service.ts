import { QueryTypes } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { canonicalAddress } from '../../shared/identity/email-address.js';
import { lockAdmin, type WhichAdmin } from '../admins/admin-lock.js';
import { LIMITS_OF_LOGINS, resetPasswordCounts } from '../passwords/password-attempts.js';
import type { RateLimitStore } from '../rate-limits/rate-limiter.js';
import { redisUnavailable } from './redis-problems.js';

/**
 * A limit on guessing an admin's password that refuses attempts until it resets. It may lock many networks at once: then this
 * is the lock that lasts longest.
 */
export interface PasswordLock {
  /** The limit's name. */
  readonly limit: string;
  /** How many locks by this limit stand, of one session if it is by session. */
  readonly count: number;
  /** Where the first refused attempt came from. */
  readonly ip: string | null;
  /** The session in which the passwords were tried, if they were. */
  readonly session_id: number | null;
  readonly at: Date;
  readonly until: Date;
}

/**
 * The locks of an admin that still stand, by its audit events, those that last longest first: one for each limit, or for each
 * session of a limit, however many there are. An operator lifts them all; a link from the admin's mail and a new password clear
 * those of the login.
 */
export function readPasswordLocks(
  { database }: { readonly database: Database },
  adminId: number,
  tx?: Transaction,
): Promise<PasswordLock[]> {
  return database.query<PasswordLock>(
    // No limit lasts longer than an hour. Materialized: other events may have details of the same name that are no time.
    `with recent as materialized (
       select event, at, ip, session_id, details from audit_events
        where admin_id = $adminId and at > now() - interval '1 hour'
          and event in ('authn_login_lock', 'authn_login_lock_lifted', 'authn_password_change', 'email_confirmed')
     ), locks as materialized (
       select details->>'limit' as "limit", ip, session_id, at, (details->>'until')::timestamptz as until
         from recent where event = 'authn_login_lock'
     ), cleared as (
       select max(at) filter (where event = 'authn_login_lock_lifted') as lifted_at,
              max(at) filter (where event in ('email_confirmed', 'authn_password_change')) as proved_at
         from recent
     ), longest as (
       select distinct on ("limit", session_id) locks.*, count(*) over (partition by "limit", session_id)::int as count
         from locks cross join cleared
        where until > now()
          and at >= coalesce(lifted_at, '-infinity')
          and ("limit" <> all ($ofLogins::text[]) or at >= coalesce(proved_at, '-infinity'))
        order by "limit", session_id, until desc
     )
     select * from longest order by until desc, "limit"`,
    {
      type: QueryTypes.SELECT,
      bind: { adminId, ofLogins: LIMITS_OF_LOGINS },
      ...(tx && { transaction: tx }),
    },
  );
}

export interface LiftPasswordLocksDeps {
  readonly database: Database;
  readonly audit: Audit;
  readonly rateLimiting: RateLimitStore;
}

/** The locks of an admin that were lifted. */
export interface LiftedLocks {
  readonly email: string;
  /** The names of the limits; empty when none locked the admin out. */
  readonly limits: readonly string[];
}

/**
 * Lifts the locks of an admin, in every process at once: it has all its tries again. Where there are none nothing is changed.
 * Limits of requests by client stay.
 * @throws {AppError} `not_found`; `unavailable` when Redis does not do it, or the database's error: then the locks are as
 *   they were, unless Redis's answer was lost or only the commit of the audit event failed.
 */
export function liftPasswordLocks(
  { database, audit, rateLimiting }: LiftPasswordLocksDeps,
  which: WhichAdmin,
  cause: Cause,
): Promise<LiftedLocks> {
  return withTransaction(database, async (tx) => {
    const admin = await lockAdmin(tx, which);
    if (!admin) throw new AppError('not_found', { detail: 'there is no such admin' });
    const { id: adminId, email, emailCanonical, pendingEmail } = admin;
    const locks = await readPasswordLocks({ database }, adminId, tx);
    const limits = [...new Set(locks.map(({ limit }) => limit))];
    if (limits.length === 0) return { email, limits };
    const events = limits.map((limit) => ({ adminId, details: { limit } }));
    await audit.recordAll('authn_login_lock_lifted', cause, events, tx);
    await resetPasswordCounts(rateLimiting, {
      emailCanonical,
      // A change of address is confirmed with the password too, by the link to the new one.
      linkAddresses: [
        emailCanonical,
        ...(pendingEmail === null ? [] : [canonicalAddress(pendingEmail)]),
      ],
      sessionIds: locks.flatMap(({ session_id: id }) => id ?? []),
    }).catch(redisUnavailable);
    return { email, limits };
  });
}
