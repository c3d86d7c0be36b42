import type { Audit, Cause } from '../../shared/audit/audit.js';
import type { Database } from '../../shared/database/connect.js';
import { violates } from '../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { canonicalAddress } from '../../shared/identity/email-address.js';
import { Admin, type Confirmation } from '../../shared/models/index.js';
import type { Confirmations } from './confirmations.js';
import { canonicalName } from './names.js';

/** What confirming is made of. */
export interface ConfirmDeps {
  readonly database: Database;
  readonly confirmations: Confirmations;
  readonly audit: Audit;
}

/** Proving that an address is one's own. */
export type ConfirmService = ReturnType<typeof createConfirmService>;

export function createConfirmService({ database, confirmations, audit }: ConfirmDeps) {
  /**
   * Confirms the address that a token was mailed to, be it a registration's or one that is to take another's place; a
   * second time it does nothing.
   * @param newName taken in place of the registered one.
   * @throws {AppError} `invalid_token` for a token that is wrong, void or expired, or an address that has meanwhile
   *   become somebody else's; `name_taken` when somebody has confirmed the same name first: the token stays good.
   */
  async function confirm(token: string, newName: string | undefined, cause: Cause): Promise<void> {
    try {
      await withTransaction(database, async (tx) => {
        const { confirmation, admin, isFirst } = await confirmations.answer(tx, token, [
          'registration',
          'email_change',
        ]);
        if (!isFirst) return;
        const { purpose } = confirmation;
        if (purpose === 'email_change') await moveAddress(tx, admin, confirmation.email);
        else await bringIntoForce(tx, admin, confirmation, newName);
        // Links that were mailed to the address before, or asked for by somebody else, are void now.
        await confirmations.withdraw(tx, admin.id, ['registration', 'password_reset']);
        const facts = { adminId: admin.id, details: { purpose } };
        await audit.record('email_confirmed', cause, facts, tx);
      });
    } catch (error) {
      if (violates(error, 'admins_confirmed_name_key'))
        throw new AppError('name_taken', { cause: error });
      if (violates(error, 'admins_email_key'))
        throw new AppError('invalid_token', { cause: error });
      throw error;
    }
  }

  return { confirm };
}

/** Confirms an admin with what the confirmation's own registration was made with, or under another name. */
async function bringIntoForce(
  tx: Transaction,
  admin: Admin,
  { email, name, nameCanonical, passwordHash }: Confirmation,
  newName: string | undefined,
): Promise<void> {
  const isComplete = name !== null && nameCanonical !== null && passwordHash !== null;
  if (admin.confirmedAt !== null || !isComplete) throw new AppError('invalid_token');
  const renamed = newName !== undefined && { name: newName, nameCanonical: canonicalName(newName) };
  await admin.update(
    { email, name, nameCanonical, passwordHash, confirmedAt: new Date(), ...renamed },
    { transaction: tx },
  );
}

/** Makes the proven address the admin's own. A registration of it that nobody has confirmed gives way. */
async function moveAddress(tx: Transaction, admin: Admin, email: string): Promise<void> {
  const emailCanonical = canonicalAddress(email);
  await Admin.destroy({ where: { emailCanonical, confirmedAt: null }, transaction: tx });
  await admin.update({ email, emailCanonical, pendingEmail: null }, { transaction: tx });
}
