import type { Transaction } from '../../shared/database/transaction.js';
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
