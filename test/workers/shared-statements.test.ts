import test from 'ava';
import pg from 'pg';
import { QueueThrottled } from '../../workers/jobs/job-effects.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { setUpDelivery } from './delivery-fixture.js';
import type { Fixture, PromisedMail } from './fixture.js';

shareProcess();

const context = useContext();

const promise = (fixture: Fixture, count: number) =>
  Promise.all(Array.from({ length: count }, () => fixture.promiseConfirmation()));

test('mails in flight share their statements; each content goes out after its own mark is committed', async (t) => {
  const marks: number[] = [];
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: {
      // Seen from another connection: only what is committed.
      onMail: async ({ source }) => {
        const id = /^Message-ID: <([^@]+)@/m.exec(source)?.[1] ?? '';
        marks.push((await fixture.messageOf(id)).unanswered);
        return 'take' as const;
      },
    },
  });
  const mails = await promise(fixture, 12);
  t.deepEqual(
    await Promise.all(mails.map((mail) => deliver(mail))),
    mails.map(() => 'sent'),
  );
  t.deepEqual(
    marks,
    mails.map(() => 1),
  );
  t.is(new Set(server.taken.flatMap(({ to }) => to)).size, mails.length);
  for (const { id } of mails) {
    t.like(await fixture.messageOf(id), { state: 'settled', outcome: 'sent', attempts: 1 });
    const [delivery, ...others] = await fixture.deliveriesOf(id);
    t.is(others.length, 0);
    t.like(delivery, { attempt: 1, outcome: 'sent' });
    t.regex(delivery?.response ?? '', /^250 /);
  }
});

test('several mails to one address at once stay within its limit', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  const email = context.uniqueAddress();
  const mails = [];
  for (let i = 0; i < 5; i += 1)
    mails.push(await fixture.promiseConfirmation({ email, purpose: 'resend' }));
  const results = await Promise.all(mails.map((mail) => deliver(mail)));
  t.is(results.filter((result) => result === 'sent').length, server.taken.length);
  t.true(server.taken.length >= 1 && server.taken.length <= 3, String(results));
});

test('only the first mail to an address is sent without counting those before it; it counts for the next', async (t) => {
  const { fixture, deliver } = await setUpDelivery(t, context);
  /** Counting takes a lock on the address, which is held here: sent or not, who does not wait for it did not count. */
  const isCounted = async ({ id, email }: PromisedMail): Promise<boolean> => {
    const client = new pg.Client({ connectionString: context.databaseUrl });
    await client.connect();
    let isWaiting = false;
    let isSent = false;
    try {
      await client.query(LOCK_ADDRESS, [email]);
      const delivering = deliver({ id }).finally(() => (isSent = true));
      await eventually(async () => {
        isWaiting = (await context.rows(WAITING_FOR_ADDRESS)).length > 0;
        return isWaiting || isSent;
      });
      await client.query('select pg_advisory_unlock_all()');
      t.is(await delivering, 'sent');
    } finally {
      await client.end();
    }
    t.is(typeof (await templateOf(id)), 'string', 'in the end it counts');
    return isWaiting;
  };
  const templateOf = async (id: string): Promise<unknown> => {
    const rows = await context.rows('select template from outbox where id = $1', [id]);
    return rows[0]?.['template'];
  };

  const useLink = ({ confirmationId }: { readonly confirmationId: string }): Promise<unknown> =>
    context.rows('update confirmations set confirmed_at = now() where id = $1', [confirmationId]);

  const first = await fixture.promiseConfirmation();
  t.false(await isCounted(first), 'the first');
  const { email } = first;
  await useLink(first);
  t.true(await isCounted(await fixture.promiseConfirmation({ email })), 'the second');

  const old = await fixture.promiseConfirmation();
  await context.rows('delete from outbox where id = $1', [old.id]);
  const again = await fixture.promiseConfirmation({ email: old.email });
  t.true(await isCounted(again), 'an older link without a message still works');
  const [link] = await context.rows<{ superseded_at: Date | null }>(
    'select superseded_at from confirmations where id = $1',
    [old.confirmationId],
  );
  t.not(link?.superseded_at, null, 'and is superseded');

  const long = await fixture.promiseConfirmation({
    message: { createdAt: `now() - interval '2 days'` },
  });
  await useLink(long);
  t.false(await isCounted(await fixture.promiseConfirmation({ email: long.email })), 'long after');

  const owner = await fixture.promiseConfirmation({ purpose: 'password_reset' });
  await context.rows(`delete from outbox where id = $1`, [owner.id]);
  await context.rows('delete from confirmations where id = $1', [owner.confirmationId]);
  const exists = await fixture.promiseConfirmation({ email: owner.email });
  t.true(await isCounted(exists), 'a limit of one mail is counted at once');
});

const LOCK_ADDRESS = `select pg_advisory_lock(hashtextextended('rollcall/mails-to ' || lower($1), 0))`;
const WAITING_FOR_ADDRESS = `
  select from pg_locks join pg_database on pg_database.oid = database
   where locktype = 'advisory' and not granted and datname = current_database()`;

test('a row that PostgreSQL refuses does not spoil the mails that share its statement', async (t) => {
  const { fixture, deliver } = await setUpDelivery(t, context);
  const mails = await promise(fixture, 4);
  const results = await Promise.allSettled(
    [mails[0], { id: 'not an id' }, ...mails.slice(1)].map((mail) => deliver(mail ?? { id: '' })),
  );
  t.deepEqual(
    results.map((result) => (result.status === 'fulfilled' ? result.value : 'failed')),
    ['sent', 'failed', 'sent', 'sent', 'sent'],
  );
  for (const { id } of mails) t.is((await fixture.deliveriesOf(id)).length, 1);
});

test('when a shared statement fails with its connection each job fails by itself, and is retried', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  let cut: Promise<void> | undefined;
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    databaseUrl: proxy.urlFor(context.databaseUrl),
    smtp: {
      server: {
        onConnect: (_session, callback) => {
          cut ??= proxy.refuse();
          void cut.then(() => callback());
        },
      },
    },
  });
  const mails = await promise(fixture, 4);
  const results = await Promise.allSettled(mails.map((mail) => deliver(mail)));
  for (const result of results)
    t.true(
      result.status === 'rejected' && result.reason instanceof QueueThrottled,
      JSON.stringify(result),
    );
  t.is(server.received.length, 0, 'without a mark no content goes out');
  await proxy.restore();
  await letClaimsExpire(mails);
  for (const mail of mails) t.is(await deliver(mail), 'sent');
  t.is(server.taken.length, mails.length);
});

const letClaimsExpire = (mails: readonly { readonly id: string }[]): Promise<unknown> =>
  context.rows(
    `update outbox set claimed_until = now() - interval '1 second' where id = any($1::uuid[])`,
    [mails.map(({ id }) => id)],
  );
