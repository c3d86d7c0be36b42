import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { LIMITS_OF_LOGINS } from '../passwords/password-attempts.js';

/** A limit on guessing an admin's password that refuses attempts until it resets. */
export interface PasswordLock {
  /** The limit's name. */
  readonly limit: string;
  /** Where the first refused attempt came from. */
  readonly ip: string | null;
  readonly at: Date;
  readonly until: Date;
}

/**
 * The locks of an admin that still stand, by its audit events, those that last longest first. A link from the admin's mail
 * clears those of the login.
 */
export function readPasswordLocks(
  { database }: { readonly database: Database },
  adminId: number,
): Promise<PasswordLock[]> {
  return database.query<PasswordLock>(
    // No limit lasts longer than an hour. Materialized: other events may have details of the same name that are no time.
    `with recent as materialized (
       select event, at, ip, details from audit_events
        where admin_id = $adminId and at > now() - interval '1 hour'
          and event in ('authn_login_lock', 'authn_password_change', 'email_confirmed')
     ), locks as materialized (
       select details->>'limit' as "limit", ip, at, (details->>'until')::timestamptz as until
         from recent where event = 'authn_login_lock'
     )
     select * from locks
      where until > now()
        and not ("limit" = any($ofLogins::text[]) and exists (
          select from recent r
           where r.at > locks.at
             and (r.event = 'email_confirmed' or (r.event = 'authn_password_change' and r.details->>'by' = 'mailed link'))))
      order by until desc, "limit"`,
    { type: QueryTypes.SELECT, bind: { adminId, ofLogins: LIMITS_OF_LOGINS } },
  );
}
