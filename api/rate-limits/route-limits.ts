import type { RequestHandler } from 'express';
import {
  limitByAdmin,
  limitByClient,
  limitBySession,
  type LimitRequestsDeps,
} from './limit-requests.js';

/** Per-IP rate limits for auth routes, per-session and per-admin rate limits for writes. */
export interface RouteLimits {
  readonly registrations: RequestHandler;
  /** Requests that send a mail. */
  readonly mails: RequestHandler;
  readonly logins: RequestHandler;
  /** Requests that carry a refresh token or the token of a mailed link. */
  readonly tokens: RequestHandler;
  /** A session's changes to its admin's account: a password costs two hashes and a mail. */
  readonly accountChanges: RequestHandler;
  /** An admin's writes to its users. */
  readonly userWrites: RequestHandler;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;

/** The rate limits of all routes: generous for a person or an office, useless to a bot. */
export const createRouteLimits = (deps: LimitRequestsDeps): RouteLimits => ({
  registrations: limitByClient(deps, {
    name: 'registrations',
    points: 20,
    seconds: HOUR,
    refundsOutages: true,
  }),
  mails: limitByClient(deps, { name: 'mails', points: 20, seconds: HOUR, refundsOutages: true }),
  logins: limitByClient(deps, { name: 'logins', points: 30, seconds: MINUTE }),
  tokens: limitByClient(deps, { name: 'tokens', points: 60, seconds: MINUTE }),
  accountChanges: limitBySession(deps, {
    name: 'account-changes',
    points: 30,
    seconds: 15 * MINUTE,
    refundsOutages: true,
  }),
  // Ten writes a second are plenty for a script, and too few to flood the table.
  userWrites: limitByAdmin(deps, { name: 'user-writes', points: 600, seconds: MINUTE }),
});
