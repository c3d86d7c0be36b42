import type { Transaction } from '../../shared/database/transaction.js';
import { Admin } from '../../shared/models/index.js';

/** Which admin: by its number, or by the canonical form of its address. */
export type WhichAdmin = { readonly id: number } | { readonly emailCanonical: string };

/**
 * Loads an admin and holds its row until the transaction ends.
 *
 * The rule of this folder: a transaction that changes anything of an admin begins here. The admin's row comes first,
 * its sessions, confirmations and outbox messages after it. So the transactions of one admin run one after the other,
 * each sees what the one before has left, and no two can wait for each other. Change the row that this returns: the
 * one that a request was authenticated with may be outdated by now.
 *
 * One transaction locks one admin; what it tells another is only inserted. An address that no admin has is held by its
 * open confirmations.
 *
 * The lock is `for no key update`: rows that refer to the admin can be inserted meanwhile (PostgreSQL manual, 13.3.2).
 */
export function lockAdmin(tx: Transaction, which: WhichAdmin): Promise<Admin | null> {
  return Admin.findOne({ where: { ...which }, lock: tx.LOCK.NO_KEY_UPDATE, transaction: tx });
}
