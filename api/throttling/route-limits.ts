import type { RequestHandler } from 'express';
import type { ThrottleRequests } from './throttle-requests.js';

/** What one client may do: generous for a person or an office, useless for a machine. */
export interface AuthLimits {
  readonly registrations: RequestHandler;
  /** Requests that have a mail sent. */
  readonly mails: RequestHandler;
  readonly logins: RequestHandler;
  /** Requests that bear a token. */
  readonly tokens: RequestHandler;
  /** An admin's changes to its own account: a password costs two hashes and a mail. Belongs behind the admin guard. */
  readonly accountChanges: RequestHandler;
}

/** @param throttleByAdmin counts the requests of each admin. */
export const createAuthLimits = (
  throttle: ThrottleRequests,
  throttleByAdmin: ThrottleRequests,
): AuthLimits => ({
  registrations: throttle({ name: 'registrations', points: 20, seconds: 60 * 60 }),
  mails: throttle({ name: 'mails', points: 20, seconds: 60 * 60 }),
  logins: throttle({ name: 'logins', points: 30, seconds: 60 }),
  tokens: throttle({ name: 'tokens', points: 60, seconds: 60 }),
  accountChanges: throttleByAdmin({ name: 'account-changes', points: 30, seconds: 15 * 60 }),
});
