import test from 'ava';
import {
  JobReturned,
  PermanentFailure,
  QueueThrottledJobDelayed,
  QueueThrottled,
} from '../../workers/jobs/job-effects.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { measured } from '../helpers/metrics.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { setUpDelivery } from './delivery-fixture.js';
import { insertMessage, jobContext, type Fixture } from './fixture.js';

shareProcess();

const context = useContext();

test('a deferral gives the claim back and tells why, without the address', async (t) => {
  const { fixture, deliver, metrics } = await setUpDelivery(t, context, {
    smtp: { onRecipient: (to) => ({ code: 451, text: `<${to}> greylisted` }) },
  });
  const { id } = await fixture.promiseConfirmation({ message: { state: 'enqueued' } });
  const error = await t.throwsAsync(deliver({ id }));
  t.false(error instanceof PermanentFailure);
  t.is(error?.message, '451 <[address]> greylisted');
  t.like(await fixture.messageOf(id), {
    state: 'enqueued',
    claimed_until: null,
    last_error: '451 <[address]> greylisted',
  });
  t.like((await fixture.deliveriesOf(id))[0], {
    outcome: 'deferred',
    response: '451 <[address]> greylisted',
  });
  t.is(await measured(metrics, 'rollcall_mail_outcomes_total', { outcome: 'deferred' }), 1);
  const labels = { effect: 'retry', reply: '4xx' };
  t.is(await measured(metrics, 'rollcall_mail_failures_total', labels), 1);
});

test('a refusal ends in a dead message', async (t) => {
  const { fixture, deliver, metrics } = await setUpDelivery(t, context, {
    smtp: { onRecipient: () => ({ code: 550, text: 'no such user' }) },
  });
  const { id } = await fixture.promiseConfirmation({ message: { state: 'enqueued' } });
  await t.throwsAsync(deliver({ id }), {
    instanceOf: PermanentFailure,
    message: '550 no such user',
  });
  t.like(await fixture.messageOf(id), {
    state: 'dead',
    claimed_until: null,
    last_error: '550 no such user',
  });
  t.like((await fixture.deliveriesOf(id))[0], { outcome: 'refused' });
  t.is(await measured(metrics, 'rollcall_mail_outcomes_total', { outcome: 'dead' }), 1);
  t.is(await measured(metrics, 'rollcall_mail_outcomes_total'), 1);
  const labels = { effect: 'refuse', reply: '5xx' };
  t.is(await measured(metrics, 'rollcall_mail_failures_total', labels), 1);
});

test('the last try of a deferral ends in a dead message', async (t) => {
  const { fixture, deliver } = await setUpDelivery(t, context, {
    smtp: { onMail: () => ({ code: 452, text: 'full' }) },
  });
  const { id } = await fixture.promiseConfirmation();
  await t.throwsAsync(deliver({ id }, jobContext({ isLastAttempt: true })), {
    instanceOf: PermanentFailure,
  });
  t.like(await fixture.messageOf(id), { state: 'dead', last_error: '452 full' });
  t.like((await fixture.deliveriesOf(id))[0], { outcome: 'deferred' });
});

test('a payload that no version has ends in a dead message', async (t) => {
  const { fixture, deliver } = await setUpDelivery(t, context);
  const bad = await insertMessage(context, null, 'send-confirmation-mail', {
    v: 1,
    confirmation_id: "1'; drop table users",
  });
  await t.throwsAsync(deliver({ id: bad }), { instanceOf: PermanentFailure });
  t.is((await fixture.messageOf(bad)).state, 'dead');
});

test('an unknown kind of mail and a newer version are left to a newer worker', async (t) => {
  const { fixture, deliver } = await setUpDelivery(t, context);
  const newerPayload = { v: 2, admin_id: 1, notice: 'sessions_ended' };
  for (const [name, payload] of [
    ['send-birthday-mail', { v: 1 }],
    ['send-security-notice', newerPayload],
  ] as const) {
    const newer = await insertMessage(context, null, name, payload);
    const error = await t.throwsAsync(deliver({ id: newer }));
    t.false(error instanceof PermanentFailure, name);
    t.is((await fixture.messageOf(newer)).state, 'pending', name);
  }
});

test('a server that throttles us throttles the whole queue, even at the last try', async (t) => {
  const { fixture, deliver, problem } = await setUpDelivery(t, context, {
    smtp: {
      onMail: () => ({ code: 454, text: 'Throttling failure: Maximum sending rate exceeded' }),
    },
  });
  const { id } = await fixture.promiseConfirmation();
  const error = await t.throwsAsync(deliver({ id }, jobContext({ isLastAttempt: true })), {
    instanceOf: QueueThrottled,
  });
  t.true((error?.pauseMs ?? 0) <= 1_500);
  t.like(await fixture.messageOf(id), { state: 'pending', claimed_until: null });
  t.is(await problem(), undefined);
});

test('a daily quota that is used up throttles the queue for less than readiness waits for a try, and turns it red until a mail has gone', async (t) => {
  let isUsedUp = true;
  const { fixture, deliver, problem } = await setUpDelivery(t, context, {
    smtp: {
      onMail: () =>
        isUsedUp ? { code: 454, text: 'Throttling failure: Daily message quota exceeded' } : 'take',
    },
  });
  const { id } = await fixture.promiseConfirmation();
  const error = await t.throwsAsync(deliver({ id }, jobContext({ isLastAttempt: true })), {
    instanceOf: QueueThrottled,
  });
  t.is(error?.pauseMs, 240_000);
  t.is(await problem(), '454 Throttling failure: Daily message quota exceeded');
  t.like(await fixture.messageOf(id), { state: 'pending', attempts: 0, claimed_until: null });
  isUsedUp = false;
  t.is(await deliver({ id }), 'sent');
  t.is(await problem(), undefined);
});

test('wrong credentials throttle the queue and turn readiness red until a mail has gone', async (t) => {
  let isRight = false;
  const { fixture, server, deliver, problem } = await setUpDelivery(t, context, {
    credentials: { username: 'u', password: 'p' },
    smtp: {
      server: {
        authOptional: false,
        allowInsecureAuth: true,
        onAuth: (_auth, _session, callback) =>
          isRight
            ? callback(null, { user: 'u' })
            : callback(
                Object.assign(new Error('Authentication Credentials Invalid'), {
                  responseCode: 535,
                }),
              ),
      },
    },
  });
  const { id } = await fixture.promiseConfirmation();
  const error = await t.throwsAsync(deliver({ id }, jobContext({ isLastAttempt: true })), {
    instanceOf: QueueThrottled,
  });
  t.is(error?.pauseMs, 60_000);
  t.is(await problem(), '535 Authentication Credentials Invalid');
  isRight = true;
  t.is(await deliver({ id }), 'sent');
  t.is(await problem(), undefined);
  t.is(server.taken.length, 1);
});

test('at shutdown a job that has not begun, or whose mail the server has not got, is handed back', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: { onRecipient: () => 'hang' },
  });
  const { id } = await fixture.promiseConfirmation();
  const aborted = jobContext();
  aborted.abort();
  await t.throwsAsync(deliver({ id }, aborted), { instanceOf: JobReturned });
  t.is((await fixture.deliveriesOf(id)).length, 0);

  const tried = jobContext();
  const sending = deliver({ id }, tried);
  await eventually(async () => (await fixture.deliveriesOf(id)).length === 1);
  tried.abort();
  await t.throwsAsync(sending, { instanceOf: JobReturned });
  t.like(await fixture.messageOf(id), { state: 'pending', claimed_until: null });
  t.is(server.received.length, 0);
});

test('a mail at whose naming the server hangs up is to blame if another got through meanwhile', async (t) => {
  const others: { id: string }[] = [];
  const { fixture, deliver, metrics, isCircuitOpen } = await setUpDelivery(t, context, {
    smtp: {
      async onRecipient(address) {
        if (!address.includes('poison')) return 'take';
        for (const other of others) await deliver(other);
        return 'cut';
      },
    },
  });
  const poison = await promisePoison(fixture);
  const alone = await t.throwsAsync(deliver(poison), { instanceOf: QueueThrottledJobDelayed });
  t.true((alone?.delayMs ?? 0) >= (alone?.pauseMs ?? Infinity), 'another mail looks next');
  t.is((await fixture.messageOf(poison.id)).attempts, 0);
  t.true(await isCircuitOpen(), 'its presence shows it');
  t.is(await measured(metrics, 'rollcall_smtp_circuit_open'), 1);

  others.push(await fixture.promiseConfirmation());
  await eventually(async () => (await deliver(await fixture.promiseConfirmation())) === 'sent');
  const blamed = await t.throwsAsync(deliver(poison));
  t.false(blamed instanceof QueueThrottled, blamed?.message);
  t.is((await fixture.messageOf(poison.id)).attempts, 1);
  t.false(await isCircuitOpen());
  t.is(await measured(metrics, 'rollcall_smtp_circuit_open'), 0);
});

async function promisePoison(fixture: Fixture): Promise<{ id: string }> {
  const promised = await fixture.promiseConfirmation();
  await context.rows(`update confirmations set email = 'poison-' || email where id = $1`, [
    promised.confirmationId,
  ]);
  return promised;
}

test('a mail that was sent while an operator redrove it is settled', async (t) => {
  const redrive = `update outbox set state = 'pending', generation = generation + 1`;
  const { fixture, deliver } = await setUpDelivery(t, context, {
    smtp: {
      onMail: async () => {
        await context.rows(`${redrive} where id = $1`, [promised.id]);
        return 'take' as const;
      },
    },
  });
  const promised = await fixture.promiseConfirmation();
  t.is(await deliver(promised), 'sent');
  t.like(await fixture.messageOf(promised.id), { state: 'settled', outcome: 'sent' });
});

test('with PostgreSQL gone nothing is counted against the job', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    databaseUrl: proxy.urlFor(context.databaseUrl),
  });
  const { id } = await fixture.promiseConfirmation();
  await proxy.refuse();
  await t.throwsAsync(deliver({ id }, jobContext({ isLastAttempt: true })), {
    instanceOf: QueueThrottled,
  });
  await proxy.restore();
  t.is(server.received.length, 0);
  t.is(await eventually(() => deliver({ id }).catch(() => undefined)), 'sent');
});

test('PostgreSQL gone right after the server took the mail: the marker waits for it, the mail is not sent again', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    databaseUrl: proxy.urlFor(context.databaseUrl),
    smtp: {
      onMail: async () => {
        await proxy.refuse();
        return 'take' as const;
      },
    },
  });
  const { id } = await fixture.promiseConfirmation();
  const delivering = deliver({ id });
  await eventually(() => server.taken.length === 1);
  await proxy.restore();
  t.is(await delivering, 'sent');
  t.like(await fixture.messageOf(id), { state: 'settled', outcome: 'sent' });
  t.is(server.received.length, 1);
});
