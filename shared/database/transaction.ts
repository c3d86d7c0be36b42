import type { Transaction } from 'sequelize';
import { boundTransaction, type Database } from './connect.js';
import { hasLostConflict } from './failures.js';

export type { Transaction } from 'sequelize';

const MAX_ATTEMPTS = 3;

/**
 * Runs `work` in one transaction: committed when it resolves, rolled back when it throws. Retried as {@link retryConflicts}
 * says: it must load what it changes inside of the transaction, and its effects outside of it must be idempotent.
 */
export const withTransaction = <T>(
  database: Database,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> =>
  retryConflicts(() =>
    database.transaction(async (tx) => {
      await boundTransaction(database, tx);
      return work(tx);
    }),
  );

/**
 * Retries a transaction, or a statement that is one by itself, after a deadlock or serialization failure: PostgreSQL has
 * rolled it back in favour of another one. Three attempts in all.
 */
export async function retryConflicts<T>(transact: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await transact();
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !hasLostConflict(error)) throw error;
    }
  }
}
