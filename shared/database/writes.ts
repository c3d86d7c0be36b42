import { QueryTypes } from 'sequelize';
import type { Database } from './connect.js';
import { withTransaction } from './transaction.js';

/** Rolls the transaction back that it is thrown in. */
class TakeBack extends Error {
  override readonly name = 'TakeBack';
}

/**
 * Writes a row and takes it back: the only way to know that a server writes. Needs what the API's role may do.
 * @throws what the server refuses it with.
 */
export async function tryWrite(database: Database): Promise<void> {
  try {
    await withTransaction(database, async (tx) => {
      await database.query(
        `insert into outbox (id, name, payload, trace_id, state)
         values (gen_random_uuid(), 'probe', '{}', 'probe', 'settled')`,
        { transaction: tx },
      );
      throw new TakeBack();
    });
  } catch (error) {
    if (!(error instanceof TakeBack)) throw error;
  }
  database.hasRefusedWrite = false;
}

/**
 * Resolves when the server answers and, as far as it shows, writes. Writes itself only when there is a reason to doubt
 * that: it says that it is read-only, or seems to have refused a write. What a read-only server then refuses ends the
 * session that it came on, so that the next look finds the new primary after a failover.
 * @throws what the server, or the lack of it, refuses with.
 */
export async function checkWrites(database: Database): Promise<void> {
  const [row] = await database.query<{ isReadOnly: boolean }>(
    `select current_setting('transaction_read_only') = 'on' as "isReadOnly"`,
    { type: QueryTypes.SELECT },
  );
  if (row?.isReadOnly || database.hasRefusedWrite) await tryWrite(database);
}
