import test from 'ava';
import { withTransaction } from '../../shared/database/transaction.js';
import { createInsertUser } from '../../api/users/users.statements.js';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import type { UserAnswer } from '../helpers/samples.js';

const context = useSharedContext('api');
const api = useApi(context);

let ann: TestAdmin;
let bob: TestAdmin;
test.serial.before('two admins', async () => {
  [ann, bob] = [await api.admins.confirmedAdmin(), await api.admins.confirmedAdmin()];
});

test('of users that are created at once each is answered for itself', async (t) => {
  const email = context.uniqueAddress();
  const answers = await Promise.all([
    ann.client.post('/users', { email }),
    ann.client.post('/users', { email: email.toUpperCase() }),
    bob.client.post('/users', { email, name: 'Quotes " and \\ and {braces}, NULL' }),
    bob.client.post('/users', { email: context.uniqueAddress(), active: false, name: null }),
  ]);
  t.deepEqual(
    answers.map(({ status }) => status).toSorted((one, other) => one - other),
    [201, 201, 201, 409],
  );
  t.is(answers[2].status, 201);
  for (const { status, body, headers } of answers) {
    if (status !== 201) continue;
    const path = headers.get('location') ?? '';
    const found = await Promise.all([ann, bob].map(({ client }) => client.get(path)));
    t.deepEqual(
      found.map((each) => each.status).toSorted((one, other) => one - other),
      [200, 404],
    );
    t.deepEqual(found.find((each) => each.status === 200)?.body, body);
  }
});

// Serial: the models must not be on the pool of this test while others ask the API.
test.serial('what the server refuses for one user is not refused for the others', async (t) => {
  const { statements } = openTestDatabase(t, context.databaseUrl);
  const insertUser = createInsertUser(statements);
  const user = (adminId: number, word: string, name: string | null = null) => {
    const email = `${word}.${context.uniqueAddress()}`;
    return insertUser({ adminId, email: { address: email, canonical: email }, name });
  };
  const gone = 2_000_000_000;
  const outcomes = await Promise.allSettled([
    user(ann.id, 'one'),
    user(gone, 'two'),
    user(bob.id, 'three'),
    user(bob.id, 'four', 'a\0b'),
  ]);
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'rejected'],
  );
  const [, refused] = outcomes;
  t.regex(String(refused.status === 'rejected' && refused.reason), /users_admin_id_fkey/);
});

test('of two users that exchange their addresses one is changed again after the deadlock', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const [one, other] = [context.uniqueAddress(), context.uniqueAddress()];
  const ids: number[] = [];
  for (const email of [one, other])
    ids.push((await ann.client.post<{ id: number }>('/users', { email })).body.id);
  const asked = await withTransaction(database, async (transaction) => {
    const giveUp = (id: number | undefined) =>
      database.query(
        `update users set email_canonical = email_canonical || '.test' where id = $id`,
        { bind: { id }, transaction },
      );
    await giveUp(ids[1]);
    const answer = ann.client.put<UserAnswer>(`/users/${ids[0]}`, { email: other });
    // It waits to see whether the address stays taken; it has waited longest when PostgreSQL looks for a deadlock.
    await eventually(async () => (await context.rows(WAITING)).length > 0, {
      of: 'the request waiting for the address',
    });
    await giveUp(ids[0]);
    return { answer };
  });
  const { status, body } = await asked.answer;
  t.deepEqual([status, body.email], [200, other]);
});

const WAITING = `
  select pid from pg_stat_activity
   where datname = current_database() and wait_event_type = 'Lock' and query like 'UPDATE "users"%'`;
