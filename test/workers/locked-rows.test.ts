import test from 'ava';
import pg from 'pg';
import { groupCommit } from '../../shared/database/group-commit.js';
import { JobDelayed } from '../../workers/jobs/job-effects.js';
import { claimMessages, type Claim } from '../../workers/mail/delivery/outbox-claim.js';
import { settleMessages, type SettledMessage } from '../../workers/mail/delivery/outbox-outcome.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { setUpDelivery } from './delivery-fixture.js';
import { openFixture, type Fixture } from './fixture.js';

shareProcess();

const context = useContext();

const promise = (fixture: Fixture, count: number) =>
  Promise.all(Array.from({ length: count }, () => fixture.promiseConfirmation()));

/** Locks the message's row in an open transaction, until it is released. */
async function lockRow(scope: Scope, id: string, strength = 'update') {
  const client = new pg.Client({ connectionString: context.databaseUrl });
  await client.connect();
  scope.teardown(() => client.end());
  await client.query('begin');
  await client.query(`select from outbox where id = $1 for ${strength}`, [id]);
  return {
    query: (sql: string) => client.query(sql, [id]),
    release: () => client.query('commit'),
  };
}

/** Ends a statement that waits for a row, as its time-out does. */
const cancelWaiting = (text: string): Promise<unknown> =>
  eventually(async () => {
    const rows = await context.rows(
      `select pg_cancel_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%' || $1 || '%'`,
      [text],
    );
    return rows.length > 0;
  });

const kindOf = (claims: ReadonlyMap<string, Claim>, id: string): string | undefined =>
  claims.get(id)?.kind;

test('messages are claimed while a transaction has locked one of them, which is busy and neither claimed nor over', async (t) => {
  const fixture = await openFixture(t, context);
  const database = openTestDatabase(t, context.databaseUrl);
  const [locked, ...others] = await promise(fixture, 4);
  const id = locked?.id ?? '';
  const keys = [id, ...others.map((other) => other.id)].map((key) => ({ id: key, generation: 0 }));
  const claimer = { worker: 'test:1', claimMs: 30_000 };
  const lock = await lockRow(t, id);
  const claims = await claimMessages(database, keys, claimer);
  t.deepEqual(
    others.map((other) => kindOf(claims, other.id)),
    others.map(() => 'claimed'),
  );
  t.like(claims.get(id), { kind: 'busy', isLocked: true });
  t.like(await fixture.messageOf(id), { attempts: 0, claimed_until: null });

  // Even what settles it is not known before it is committed.
  await lock.query(`update outbox set state = 'settled', settled_at = now() where id = $1`);
  t.is(kindOf(await claimMessages(database, keys, claimer), id), 'busy');
  await lock.release();
  const last = await claimMessages(database, keys, claimer);
  t.is(kindOf(last, id), 'over');
  for (const other of others)
    t.like(last.get(other.id), { kind: 'busy', isLocked: false }, 'claimed by the first');
});

test('a row that is locked for the sake of rows that refer to it can be claimed', async (t) => {
  const fixture = await openFixture(t, context);
  const { id } = await fixture.promiseConfirmation();
  const lock = await lockRow(t, id, 'key share');
  const claims = await claimMessages(
    openTestDatabase(t, context.databaseUrl),
    [{ id, generation: 0 }],
    { worker: 'test:1', claimMs: 30_000 },
  );
  t.is(kindOf(claims, id), 'claimed');
  await lock.release();
});

test('the mail of a locked message is delayed alone and uncounted; the others are sent', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  const [locked = { id: '' }, ...others] = await promise(fixture, 4);
  const lock = await lockRow(t, locked.id);
  const delayed = t.throwsAsync(deliver(locked), {
    instanceOf: JobDelayed,
    message: 'another transaction has locked the message',
  });
  t.deepEqual(
    await Promise.all(others.map((mail) => deliver(mail))),
    others.map(() => 'sent'),
  );
  await delayed;
  await lock.release();
  t.is(await deliver(locked), 'sent');
  t.like(await fixture.messageOf(locked.id), { outcome: 'sent', attempts: 1 });
  t.is(server.taken.length, 4);
});

test('a message that is locked while its transmission is recorded delays its mail alone', async (t) => {
  let greet: () => void = () => undefined;
  const greeting = new Promise<void>((resolve) => {
    greet = resolve;
  });
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: { server: { onConnect: (_session, callback) => void greeting.then(() => callback()) } },
  });
  const { id } = await fixture.promiseConfirmation();
  const delayed = t.throwsAsync(deliver({ id }), { instanceOf: JobDelayed });
  await eventually(async () => (await fixture.deliveriesOf(id)).length === 1);
  const lock = await lockRow(t, id);
  greet();
  await cancelWaiting('set unanswered = unanswered + 1');
  // The failure cannot be recorded either.
  await cancelWaiting('unanswered = unanswered - ');
  await delayed;
  await lock.release();
  t.is(server.received.length, 0);
});

test('a message that is locked while it is settled does not hold up those that are settled later', async (t) => {
  const fixture = await openFixture(t, context);
  const database = openTestDatabase(t, context.databaseUrl);
  const mails = await promise(fixture, 4);
  const keys = mails.map(({ id }) => ({ id, generation: 0 }));
  const claims = await claimMessages(database, keys, { worker: 'test:1', claimMs: 30_000 });
  const group = groupCommit<SettledMessage, true>(
    ({ message }) => message.id,
    (settled) => settleMessages(database, settled),
  );
  const settle = ({ id }: { readonly id: string }): Promise<true | undefined> => {
    const claim = claims.get(id);
    if (claim?.kind !== 'claimed') throw new Error('not claimed');
    const settlement = { outcome: 'sent', response: '250 ok' } as const;
    return group({ message: claim.message, settlement });
  };
  const [locked = { id: '' }, second = locked, third = locked, later = locked] = mails;
  const lock = await lockRow(t, locked.id);
  const first = settle(locked);
  const together = [settle(second), settle(third)];
  await cancelWaiting('settled_at = now()');
  t.deepEqual(await Promise.all(together), [true, true]);
  t.true(await settle(later));
  t.like(await fixture.messageOf(locked.id), { outcome: null }, 'still locked');
  await lock.release();
  t.true(await first);
});
