import test from 'ava';
import { QueueThrottled } from '../../workers/jobs/job-effects.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { setUpDelivery } from './delivery-fixture.js';
import type { Fixture } from './fixture.js';

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
  let isCut = false;
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    databaseUrl: proxy.urlFor(context.databaseUrl),
    smtp: {
      onRecipient: async () => {
        if (!isCut) {
          isCut = true;
          await proxy.refuse();
        }
        return 'take' as const;
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
