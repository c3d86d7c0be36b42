import type { Transaction } from 'sequelize';
import type { Database } from './connect.js';

export type { Transaction } from 'sequelize';

/** Runs `work` in one transaction: committed when it resolves, rolled back when it throws. */
export function withTransaction<T>(
  database: Database,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  return database.transaction(work);
}
