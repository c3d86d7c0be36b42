import type { Transaction } from 'sequelize';
import { boundTransaction, type Database } from './connect.js';
import { hasLostConflict } from './failures.js';

export type { Transaction } from 'sequelize';

const MAX_TRIES = 3;

/**
 * Runs `work` in one transaction: committed when it resolves, rolled back when it throws. When PostgreSQL rolls it back
 * in favour of another transaction it is run again, three times in all: it must load what it changes inside of the
 * transaction, and leave nothing behind outside of it that a second run does not set right.
 */
export async function withTransaction<T>(
  database: Database,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await database.transaction(async (tx) => {
        await boundTransaction(database, tx);
        return work(tx);
      });
    } catch (error) {
      if (tries === MAX_TRIES || !hasLostConflict(error)) throw error;
    }
  }
}
