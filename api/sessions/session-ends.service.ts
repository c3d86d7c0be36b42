import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { lockAdmin } from '../admins/admin-lock.js';
import { endSessions } from './session-end.js';

export interface SessionEndsDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** Logging somebody else out; for the command line alone, never by HTTP. */
export function createSessionEndsService({ database, audit }: SessionEndsDeps) {
  /**
   * Ends every live session of an admin: all of their tokens are dead at once, on every instance. It is
   * recorded even when there was none, since somebody had a reason to ask.
   * @returns how many there were.
   * @throws {AppError} `not_found` when no admin has the address.
   */
  async function endAll(email: EmailAddress, cause: Cause): Promise<number> {
    return withTransaction(database, async (tx) => {
      const admin = await lockAdmin(tx, { emailCanonical: email.canonical });
      if (!admin) throw new AppError('not_found');
      const count = await endSessions({ adminId: admin.id }, 'revoked', tx);
      const facts = { adminId: admin.id, details: { sessions: count } };
      await audit.record('authn_token_revoked', cause, facts, tx);
      return count;
    });
  }

  return { endAll };
}
