import type { Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { Admin } from '../../shared/models/index.js';

/** Which admin: by id, or by the canonical form of its address. */
export type WhichAdmin = { readonly id: number } | { readonly emailCanonical: string };

/**
 * Loads an admin and locks its row until the transaction ends.
 *
 * Lock order: a transaction that changes anything of an admin locks the admin's row first, then its sessions,
 * confirmations and outbox messages. So transactions on one admin are serialised, each sees the result of the previous
 * one, and none can deadlock. Change the row that this returns: the one that a request was authenticated with may be stale.
 *
 * A transaction locks only one admin; for any other it only inserts mails. An address without an admin is locked by its
 * open confirmations.
 *
 * The lock is `for no key update`, so rows that refer to the admin can be inserted meanwhile (PostgreSQL manual, 13.3.2).
 */
export function lockAdmin(tx: Transaction, which: WhichAdmin): Promise<Admin | null> {
  return Admin.findOne({ where: { ...which }, lock: tx.LOCK.NO_KEY_UPDATE, transaction: tx });
}

/** A password was compared with a hash that is not the admin's any more: see {@link retryRehashed}. */
class HashChanged extends AppError {
  constructor() {
    super('wrong_password');
  }
}

/**
 * Locks the admin whose password was compared with this hash; resolves to null when it was deleted.
 * @throws {AppError} `wrong_password` when it has another hash by now.
 */
export async function lockComparedAdmin(
  tx: Transaction,
  { id, passwordHash }: Pick<Admin, 'id' | 'passwordHash'>,
): Promise<Admin | null> {
  const admin = await lockAdmin(tx, { id });
  if (admin && admin.passwordHash !== passwordHash) throw new HashChanged();
  return admin;
}

/**
 * Runs work that compares a password and then locks the admin, and runs it again if the hash has changed in between: a login
 * may have stored a new one of the same password.
 * @param work must load the hash anew when it is run again.
 */
export async function retryRehashed<T>(work: (isRetry: boolean) => Promise<T>): Promise<T> {
  try {
    return await work(false);
  } catch (error) {
    if (error instanceof HashChanged) return work(true);
    throw error;
  }
}
