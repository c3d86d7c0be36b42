import type { Transaction } from 'sequelize';
import { boundTransaction, type Database } from './connect.js';
import { hasLostConflict } from './failures.js';

export type { Transaction } from 'sequelize';

const MAX_ATTEMPTS = 3;

/**
 * Runs `work` in one transaction: committed when it resolves, rolled back when it throws. After a deadlock or serialization
 * failure `work` is retried, three attempts in all: it must load what it changes inside of the transaction, and its effects
 * outside of it must be idempotent.
 */
export async function withTransaction<T>(
  database: Database,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await database.transaction(async (tx) => {
        await boundTransaction(database, tx);
        return work(tx);
      });
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !hasLostConflict(error)) throw error;
    }
  }
}
