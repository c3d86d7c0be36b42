import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { lockAdmin } from './admin-lock.js';

export interface OperatorsDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/** Granting and revoking the operator's role; for the command line alone, never by HTTP. */
export function createOperatorsService({ database, audit }: OperatorsDeps) {
  /**
   * Makes an admin an operator, or takes the role back; a second time it changes nothing.
   * @returns whether anything changed.
   * @throws {AppError} `not_found` when no admin has the address.
   */
  async function setOperator(
    email: EmailAddress,
    isOperator: boolean,
    cause: Cause,
  ): Promise<boolean> {
    return withTransaction(database, async (tx) => {
      const admin = await lockAdmin(tx, { emailCanonical: email.canonical });
      if (!admin) throw new AppError('not_found');
      if ((admin.operatorSince !== null) === isOperator) return false;
      await admin.update({ operatorSince: isOperator ? new Date() : null }, { transaction: tx });
      const details = { role: isOperator ? 'operator' : 'admin' };
      await audit.record(
        'privilege_permissions_changed',
        cause,
        { adminId: admin.id, details },
        tx,
      );
      return true;
    });
  }

  return { setOperator };
}
