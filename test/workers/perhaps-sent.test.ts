import test from 'ava';
import pg from 'pg';
import {
  JobReturned,
  JobDelayed,
  PermanentFailure,
  QueueThrottled,
} from '../../workers/jobs/job-effects.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { heldAnswer, type SmtpAnswer } from '../helpers/smtp-server.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { setUpDelivery } from './delivery-fixture.js';
import { deliveryOf, mailObject, openSesFixture } from './ses-fixture.js';
import { jobContext } from './fixture.js';

shareProcess();

const context = useContext();

test('while the answer is waited for, the claim stays ours for longer than it lasts; the mail goes out once (field: swiftmailer 828, freescout 5457, chatmail 5115)', async (t) => {
  const late = heldAnswer();
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: { onMail: () => late.answer },
    claimMs: 15_000,
  });
  const { id } = await fixture.promiseConfirmation();
  const delivering = deliver({ id });
  await eventually(() => server.received.length === 1);
  const first = (await fixture.messageOf(id)).claimed_until;
  const isPast = `select clock_timestamp() > $1::timestamptz as past`;
  await eventually(async () => (await context.rows<{ past: boolean }>(isPast, [first]))[0]?.past);
  await t.throwsAsync(deliver({ id }), {
    instanceOf: JobDelayed,
    message: 'another worker has claimed the message',
  });
  late.give('take');
  t.is(await delivering, 'sent');
  t.like(await fixture.messageOf(id), { state: 'settled', outcome: 'sent', claimed_until: null });
  t.is(server.received.length, 1);
});

for (const answer of ['cut', 'hang'] as const) {
  test(`content without an answer (${answer}) is handed over three times, then the mail is perhaps sent`, async (t) => {
    const { fixture, server, deliver } = await setUpDelivery(t, context, {
      smtp: { onMail: () => answer },
      ...(answer === 'hang' && { limits: { answerMs: 4_000 } }),
    });
    const { id } = await fixture.promiseConfirmation({ message: { state: 'enqueued' } });
    for (let copies = 1; copies <= 2; copies++) {
      const error = await t.throwsAsync(deliverPatiently(deliver, id));
      t.false(error instanceof PermanentFailure, error?.message);
      t.like(await fixture.messageOf(id), { state: 'enqueued', unanswered: copies });
    }
    const error = await t.throwsAsync(deliverPatiently(deliver, id), {
      instanceOf: PermanentFailure,
    });
    t.regex(error?.message ?? '', /^perhaps sent: /);
    const message = await fixture.messageOf(id);
    t.like(message, { state: 'uncertain', unanswered: 3, claimed_until: null });
    t.regex(message.last_error ?? '', /^perhaps sent: /);
    t.is(await deliverPatiently(deliver, id), 'already');
    await eventually(() => server.received.length === 3);
  });
}

test('a try that is answered, or ends before the content, does not count as a copy', async (t) => {
  const answers: SmtpAnswer[] = ['cut', { code: 451, text: 'later' }, 'cut', 'take'];
  let recipient: SmtpAnswer = 'take';
  const { fixture, deliver } = await setUpDelivery(t, context, {
    smtp: {
      onMail: (_mail, count) => answers[count - 1] ?? 'take',
      onRecipient: () => recipient,
    },
  });
  const { id } = await fixture.promiseConfirmation();
  const unanswered = async (): Promise<number> => (await fixture.messageOf(id)).unanswered;
  await t.throwsAsync(deliverPatiently(deliver, id));
  t.is(await unanswered(), 1);
  await t.throwsAsync(deliverPatiently(deliver, id), { message: '451 later' });
  t.is(await unanswered(), 1);
  recipient = { code: 450, text: 'greylisted' };
  await t.throwsAsync(deliverPatiently(deliver, id), { message: '450 greylisted' });
  t.is(await unanswered(), 1);
  recipient = 'take';
  await t.throwsAsync(deliverPatiently(deliver, id));
  t.is(await unanswered(), 2);
  t.is(await deliverPatiently(deliver, id), 'sent');
});

test('a worker that died with the content handed over leaves a copy behind that counts; one that died before does not', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  const died = `update outbox set unanswered = $2, claimed_until = now() - interval '1 second' where id = $1`;
  const before = await fixture.promiseConfirmation();
  await context.rows(
    `insert into deliveries (outbox_id, attempt, worker) select $1, n, 'dead:1' from generate_series(1, 9) n`,
    [before.id],
  );
  await context.rows(died, [before.id, 0]);
  t.is(await deliver(before), 'sent');

  const twice = await fixture.promiseConfirmation();
  await context.rows(died, [twice.id, 2]);
  t.is(await deliver(twice), 'sent', 'the third copy');

  const often = await fixture.promiseConfirmation();
  await context.rows(died, [often.id, 3]);
  await t.throwsAsync(deliver(often), { instanceOf: PermanentFailure });
  t.like(await fixture.messageOf(often.id), { state: 'uncertain', unanswered: 3 });
  t.is(server.received.length, 2);
});

test('one that nobody needs any more is settled as that, however often its content was handed over', async (t) => {
  const { fixture, deliver } = await setUpDelivery(t, context);
  const { id } = await fixture.promiseConfirmation({ confirmedAt: 'now()' });
  await context.rows('update outbox set unanswered = 3 where id = $1', [id]);
  t.is(await deliver({ id }), 'obsolete');
});

test('that the content is handed over is on record before the server has it', async (t) => {
  const late = heldAnswer();
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: { onMail: () => late.answer },
  });
  const { id } = await fixture.promiseConfirmation();
  const delivering = deliver({ id });
  await eventually(() => server.received.length === 1);
  t.is((await fixture.messageOf(id)).unanswered, 1);
  late.give('take');
  await delivering;
});

test('a worker whose claim was lost before the content goes keeps it back', async (t) => {
  const held = heldAnswer();
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: { onRecipient: () => held.answer },
    claimMs: 15_000,
  });
  const { id } = await fixture.promiseConfirmation();
  const delivering = deliver({ id });
  await eventually(async () => (await fixture.messageOf(id)).unanswered === 1);
  // Renewed once: the envelope takes longer than a claim is sure for.
  const { claimed_until: first } = await fixture.messageOf(id);
  await eventually(
    async () => (await fixture.messageOf(id)).claimed_until?.getTime() !== first?.getTime(),
  );
  await context.rows(
    `update outbox set claimed_until = now() + interval '1 minute' where id = $1`,
    [id],
  );
  held.give('take');
  await t.throwsAsync(delivering, { instanceOf: JobDelayed });
  t.is(server.received.length, 0);
});

test('a mail that is taken back while leave to hand over is asked for does not count as a copy', async (t) => {
  const greeting = heldAnswer();
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: {
      server: { onConnect: (_session, callback) => void greeting.answer.then(() => callback()) },
    },
  });
  const { id } = await fixture.promiseConfirmation();
  const tried = jobContext();
  const delivering = deliver({ id }, tried);
  await eventually(async () => (await fixture.deliveriesOf(id)).length === 1);

  const client = new pg.Client({ connectionString: context.databaseUrl });
  await client.connect();
  try {
    await client.query('begin');
    await client.query('select from outbox where id = $1 for update', [id]);
    greeting.give('take');
    await eventually(async () => (await context.rows(WAITING_TO_HAND_OVER)).length === 1);
    tried.abort();
    await client.query('commit');
  } finally {
    await client.end();
  }
  await t.throwsAsync(delivering, { instanceOf: JobReturned });
  t.is(server.received.length, 0);
  t.like(await fixture.messageOf(id), { unanswered: 0, attempts: 0, claimed_until: null });
});

test('a transmission is recorded while the envelope is sent; a try that ends there does not count as a copy', async (t) => {
  const held = heldAnswer();
  const { fixture, deliver } = await setUpDelivery(t, context, {
    smtp: { onRecipient: () => held.answer },
  });
  const { id } = await fixture.promiseConfirmation();
  const delivering = deliver({ id });
  await eventually(async () => (await fixture.messageOf(id)).unanswered === 1);
  held.give({ code: 450, text: 'greylisted' });
  await t.throwsAsync(delivering, { message: '450 greylisted' });
  t.is((await fixture.messageOf(id)).unanswered, 0);
});

test('a transmission is recorded while the mail is next in line; one that gets no connection does not count as a copy', async (t) => {
  const held = heldAnswer();
  const { fixture, server, deliver, connections } = await setUpDelivery(t, context, {
    smtp: { onMail: () => held.answer },
  });
  connections.refused(1);
  const [first, next] = [await fixture.promiseConfirmation(), await fixture.promiseConfirmation()];
  const delivering = deliver(first);
  await eventually(() => server.received.length === 1);
  const waits = jobContext();
  const waiting = deliver(next, waits);
  await eventually(async () => (await fixture.messageOf(next.id)).unanswered === 1);
  waits.abort();
  await t.throwsAsync(waiting, { instanceOf: JobReturned });
  t.like(await fixture.messageOf(next.id), { unanswered: 0, attempts: 0, claimed_until: null });
  held.give('take');
  t.is(await delivering, 'sent');
  t.is(server.received.length, 1);
});

const WAITING_TO_HAND_OVER = `
  select from pg_stat_activity
   where datname = current_database() and wait_event_type = 'Lock' and query like '%set unanswered = unanswered + 1%'`;

test('with PostgreSQL gone before the content goes it is kept back: what was sent could not be recorded', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    databaseUrl: proxy.urlFor(context.databaseUrl),
    smtp: {
      server: { onConnect: (_session, callback) => void proxy.refuse().then(() => callback()) },
    },
  });
  const { id } = await fixture.promiseConfirmation();
  await t.throwsAsync(deliver({ id }), { instanceOf: QueueThrottled });
  t.is(server.received.length, 0);
});

test('at shutdown a mail whose answer does not come is recorded as such, and tried again a little later', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: { onMail: () => 'hang' },
    limits: { answerAfterAbortMs: 100 },
  });
  const { id } = await fixture.promiseConfirmation();
  const tried = jobContext();
  const delivering = deliver({ id }, tried);
  await eventually(() => server.received.length === 1);
  tried.abort();
  const error = await t.throwsAsync(delivering, { instanceOf: JobDelayed });
  t.false(error instanceof JobReturned);
  t.true((error?.delayMs ?? 0) >= 10_000, 'an event may tell meanwhile that it was sent');
  t.like(await fixture.messageOf(id), { unanswered: 1, attempts: 0, claimed_until: null });
});

for (const state of ['uncertain', 'enqueued', 'dead']) {
  test(`what the provider tells of a mail that was perhaps sent settles it as sent (${state})`, async (t) => {
    const fixture = await openSesFixture(t, context);
    const { id, email } = await fixture.promiseConfirmation({ message: { state } });
    await context.rows('update outbox set unanswered = 1, recipient = $2 where id = $1', [
      id,
      email,
    ]);
    const { status } = await fixture.postJson(deliveryOf(mailObject('0100-late', id), email));
    t.is(status, 200);
    const message = await fixture.messageOf(id);
    t.like(message, { state: 'settled', outcome: 'sent', last_error: null });
    t.not(message.settled_at, null);
  });
}

test('an event about a mail whose content no try without an answer has handed over settles nothing', async (t) => {
  const fixture = await openSesFixture(t, context);
  const { id, email } = await fixture.promiseConfirmation({ message: { state: 'dead' } });
  await fixture.postJson(deliveryOf(mailObject('0100-odd', id), email));
  t.is((await fixture.messageOf(id)).state, 'dead');
});

type Deliver = Awaited<ReturnType<typeof setUpDelivery>>['deliver'];

/** As the queue does: while it is throttled, or the job is postponed, it waits. */
async function deliverPatiently(deliver: Deliver, id: string): Promise<string> {
  return eventually(async () => {
    try {
      return { result: await deliver({ id }) };
    } catch (error) {
      if (error instanceof QueueThrottled && error.name === 'QueueStillThrottled') return false;
      return { error };
    }
  }).then((end) => {
    if ('error' in end) throw end.error;
    return end.result;
  });
}
