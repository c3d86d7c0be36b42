import { QueryTypes } from 'sequelize';
import type { Database } from './connect.js';
import { withTransaction } from './transaction.js';

/** Thrown to roll back the transaction. */
class Rollback extends Error {
  override readonly name = 'Rollback';
}

/** On a full disk a row may still fit into its table. These need new pages, of a file that is removed again. */
const GROWTH = `create temporary table growth on commit drop as
       select repeat('x', 2000) as filler from generate_series(1, 20)`;

/**
 * Inserts a row and lets a temporary table grow, and rolls back: the only proof that the server accepts writes. Needs no
 * privilege that the API or the worker lacks. A role without the right to temporary tables inserts only the row.
 * @throws the server's error.
 */
export async function tryWrite(database: Database): Promise<void> {
  try {
    await withTransaction(database, async (tx) => {
      await database.query(
        `insert into metric_minutes (name, minute, value) values ('probe', now(), 0)`,
        { transaction: tx },
      );
      const [row] = await database.query<{ mayGrow: boolean }>(
        `select has_database_privilege(current_database(), 'temporary') as "mayGrow"`,
        { type: QueryTypes.SELECT, transaction: tx },
      );
      if (row?.mayGrow) await database.query(GROWTH, { transaction: tx });
      throw new Rollback();
    });
  } catch (error) {
    if (!(error instanceof Rollback)) throw error;
  }
  database.hasRefusedWrite = false;
}

/**
 * Resolves when the server answers and appears to accept writes. Tries a write only when in doubt: when the server says that
 * it is read-only or seems to have refused a write. A write refused by a read-only server also closes its session, so that
 * the next check reaches the new primary after a failover.
 * @throws the server's or the connection's error.
 */
export async function checkWrites(database: Database): Promise<void> {
  const [row] = await database.query<{ isReadOnly: boolean }>(
    `select current_setting('transaction_read_only') = 'on' as "isReadOnly"`,
    { type: QueryTypes.SELECT },
  );
  if (row?.isReadOnly || database.hasRefusedWrite) await tryWrite(database);
}
