import test from 'ava';
import type { Database } from '../../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../../shared/database/transaction.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';

shareProcess();

const context = useContext();

test('of two transactions that wait for each other both commit: one is run again', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  await context.rows('create table pairs (id integer primary key, n integer not null)');
  await context.rows('insert into pairs values (1, 0), (2, 0)');
  const bothHoldOne = meeting(2);
  let runs = 0;
  const addToBoth = (first: number, second: number): Promise<void> =>
    withTransaction(database, async (tx) => {
      runs += 1;
      await addTo(database, tx, first);
      await bothHoldOne();
      await addTo(database, tx, second);
    });
  await Promise.all([addToBoth(1, 2), addToBoth(2, 1)]);
  t.deepEqual(await context.rows('select n from pairs'), [{ n: 2 }, { n: 2 }]);
  t.is(runs, 3);
});

for (const [what, sqlState, runs] of [
  ['deadlocks', '40P01', 3],
  ['cannot be serialized', '40001', 3],
  ['waits for a lock in vain', '55P03', 1],
] as const) {
  test(`a transaction that always ${what} is run ${runs} times, and fails as it failed last`, async (t) => {
    const database = openTestDatabase(t, context.databaseUrl);
    let tries = 0;
    const failure = await t.throwsAsync(
      withTransaction(database, (tx) => {
        tries += 1;
        const raise = `do $$ begin raise exception 'try ${tries}' using errcode = '${sqlState}'; end $$`;
        return database.query(raise, { transaction: tx });
      }),
    );
    t.is(tries, runs);
    t.is(failure?.message, `try ${runs}`);
  });
}

const addTo = (database: Database, tx: Transaction, id: number): Promise<unknown> =>
  database.query('update pairs set n = n + 1 where id = $id', { bind: { id }, transaction: tx });

/** Resolves for all callers as soon as there are this many; later callers do not wait. */
function meeting(size: number): () => Promise<void> {
  let missing = size;
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return () => {
    missing -= 1;
    if (missing <= 0) open();
    return opened;
  };
}
