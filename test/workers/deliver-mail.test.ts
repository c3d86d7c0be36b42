import { randomUUID } from 'node:crypto';
import test from 'ava';
import { MAX_ID } from '../../shared/database/ids.js';
import { confirmationIdOf } from '../../shared/identity/confirmation-token.js';
import type { FailpointName } from '../../shared/lifecycle/failpoint.js';
import { JobDelayed } from '../../workers/jobs/job-effects.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { linksIn } from '../helpers/mailbox.js';
import { setUpDelivery } from './delivery-fixture.js';
import { insertAdmin, insertMessage, jobContext, type Fixture } from './fixture.js';

shareProcess();

const context = useContext();

test('a promised mail is sent once, with a link that names the confirmation, and recorded', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  const promised = await fixture.promiseConfirmation();
  const tried = jobContext();
  t.is(await deliver(promised, tried), 'sent');

  const [mail] = server.taken;
  t.deepEqual(mail?.to, [promised.email]);
  const [link] = linksIn({ text: decodeQuotedPrintable(mail?.source ?? '') });
  t.is(link?.origin, 'https://rollcall.example');
  t.is(link?.pathname, '/auth/confirm');
  t.is(confirmationIdOf(link?.searchParams.get('token') ?? ''), promised.confirmationId);

  const message = await fixture.messageOf(promised.id);
  t.like(message, {
    state: 'settled',
    outcome: 'sent',
    attempts: 1,
    claimed_until: null,
    last_error: null,
  });
  t.not(message.settled_at, null);
  const [delivery, ...others] = await fixture.deliveriesOf(promised.id);
  t.is(others.length, 0);
  t.like(delivery, { attempt: 1, worker: 'test:1', outcome: 'sent' });
  t.regex(delivery?.response ?? '', /^250 /);
  t.not(delivery?.finished_at, null);
  t.regex(String(tried.fields['trace.id']), /^[0-9a-f]{32}$/);
});

test('a message whose job was not marked yet is carried out all the same, and stays settled', async (t) => {
  const { fixture, deliver } = await setUpDelivery(t, context);
  const { id } = await fixture.promiseConfirmation();
  t.is((await fixture.messageOf(id)).state, 'pending');
  t.is(await deliver({ id }), 'sent');
  t.is((await fixture.messageOf(id)).state, 'settled');
});

test('the second copy of a job finds the marker and does nothing', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  const { id } = await fixture.promiseConfirmation();
  t.is(await deliver({ id }), 'sent');
  t.is(await deliver({ id }), 'already');
  t.is(server.received.length, 1);
  t.is((await fixture.deliveriesOf(id)).length, 1);
});

test('a job of another generation, of a dead message or of none does nothing', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  const { id } = await fixture.promiseConfirmation();
  t.is(await deliver({ id, generation: 1 }), 'already');
  t.is(await deliver({ id: randomUUID() }), 'already');
  const dead = await fixture.promiseConfirmation({ message: { state: 'dead' } });
  t.is(await deliver(dead), 'already');
  t.is(server.received.length, 0);
});

test('two workers at once: one sends, the other waits for the rest of the claim', async (t) => {
  let answer: () => void = () => undefined;
  const asked = new Promise<'take'>((resolve) => {
    answer = () => resolve('take');
  });
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    smtp: { onMail: () => asked },
  });
  const { id } = await fixture.promiseConfirmation();
  const first = deliver({ id });
  await eventually(() => server.received.length === 1);
  const postponed = await t.throwsAsync(deliver({ id }), { instanceOf: JobDelayed });
  t.true((postponed?.delayMs ?? 0) > 1_000 && (postponed?.delayMs ?? 0) <= 30_000);
  answer();
  t.is(await first, 'sent');
  t.is(server.received.length, 1);
  t.is((await fixture.deliveriesOf(id)).length, 1);
});

test('many claims at the same moment: one wins', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context, { poolMax: 20 });
  const { id } = await fixture.promiseConfirmation();
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, () =>
      deliver({ id }).catch((error: unknown) =>
        error instanceof JobDelayed ? 'postponed' : error,
      ),
    ),
  );
  t.is(outcomes.filter((outcome) => outcome === 'sent').length, 1);
  t.true(
    outcomes.every((outcome) => ['sent', 'postponed', 'already'].includes(String(outcome))),
    String(outcomes),
  );
  t.is(server.received.length, 1);
});

test('the claim of a worker that died runs out, and the next try sends', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  const { id } = await fixture.promiseConfirmation();
  await context.rows(
    `update outbox set claimed_until = now() - interval '1 millisecond', attempts = 1 where id = $1`,
    [id],
  );
  t.is(await deliver({ id }), 'sent');
  t.is((await fixture.messageOf(id)).attempts, 2);
  t.is(server.received.length, 1);
});

const obsolete: readonly [why: string, overrides: Parameters<Fixture['promiseConfirmation']>[0]][] =
  [
    ['the link has been used', { confirmedAt: 'now()' }],
    ['a newer link has replaced it', { supersededAt: 'now()' }],
    ['the link has expired', { expiresAt: `now() - interval '1 second'` }],
  ];
for (const [why, overrides] of obsolete) {
  test(`no mail is sent when ${why}`, async (t) => {
    const { fixture, server, deliver } = await setUpDelivery(t, context);
    const { id } = await fixture.promiseConfirmation(overrides);
    t.is(await deliver({ id }), 'obsolete');
    t.is(server.received.length, 0);
    t.like(await fixture.messageOf(id), {
      state: 'settled',
      outcome: 'obsolete',
      claimed_until: null,
    });
    t.like((await fixture.deliveriesOf(id))[0], { outcome: 'obsolete', response: why });
  });
}

test('no mail is sent when the admin is gone', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  for (const purpose of ['password_reset', 'email_change'] as const) {
    const promised = await fixture.promiseConfirmation({ purpose });
    await context.rows('delete from admins where id = $1', [promised.adminId]);
    t.is(await deliver(promised), 'obsolete');
    t.like(await fixture.messageOf(promised.id), { state: 'settled', outcome: 'obsolete' });
  }
  t.is(server.received.length, 0);
});

test('no mail is sent to a suppressed address, however it is spelled', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  for (const purpose of ['registration', 'password_reset'] as const) {
    const promised = await fixture.promiseConfirmation({ purpose });
    await context.rows(`insert into suppressions (email_canonical, reason) values ($1, 'bounce')`, [
      promised.email,
    ]);
    await context.rows('update admins set email = upper(email) where id = $1', [promised.adminId]);
    t.is(await deliver(promised), 'obsolete');
    t.like(await fixture.messageOf(promised.id), { state: 'settled', outcome: 'obsolete' });
    const [delivery] = await fixture.deliveriesOf(promised.id);
    t.is(delivery?.response, 'the address is suppressed');
  }
  t.is(server.received.length, 0);
});

test('the owner of an account is told, without any token', async (t) => {
  const { fixture, server, deliver } = await setUpDelivery(t, context);
  const { email } = await insertAdmin(context);
  const promised = await fixture.promiseConfirmation({ email });
  t.is(await deliver(promised), 'sent');
  t.deepEqual(server.taken[0]?.to, [promised.email]);
  t.regex(server.taken[0]?.source ?? '', /^Subject: You already have an account\r$/m);
  t.notRegex(server.taken[0]?.source ?? '', /token/);
});

for (const [purpose, subject, path] of [
  ['registration', 'Confirm your e-mail address', '/auth/confirm'],
  ['email_change', 'Confirm your new e-mail address', '/auth/confirm'],
  ['password_reset', 'Choose a new password', '/auth/password/reset'],
] as const) {
  test(`the link of a confirmation for ${purpose} leads to ${path}`, async (t) => {
    const { fixture, server, deliver } = await setUpDelivery(t, context);
    t.is(await deliver(await fixture.promiseConfirmation({ purpose })), 'sent');
    const source = decodeQuotedPrintable(server.taken[0]?.source ?? '');
    t.regex(source, new RegExp(`^Subject: ${subject}\r$`, 'm'));
    t.is(linksIn({ text: source })[0]?.pathname, path);
  });
}

test('an admin is told of a change to its account, unless it is gone', async (t) => {
  const { server, deliver } = await setUpDelivery(t, context);
  const { adminId, email } = await insertAdmin(context);
  const payload = { v: 1, admin_id: adminId, notice: 'password_changed' };
  const promise = () => insertMessage(context, null, 'send-security-notice', payload);
  t.is(await deliver({ id: await promise() }), 'sent');
  t.deepEqual(server.taken[0]?.to, [email]);
  await context.rows('delete from admins where id = $1', [adminId]);
  t.is(await deliver({ id: await promise() }), 'obsolete');
});

test('an admin with an id as large as there are is told, too; of one beyond nobody is', async (t) => {
  const { server, deliver } = await setUpDelivery(t, context);
  const { adminId, email } = await insertAdmin(context);
  await context.rows('update admins set id = $1 where id = $2', [MAX_ID, adminId]);
  const promise = (id: number) => {
    const payload = { v: 1, admin_id: id, notice: 'password_changed' };
    return insertMessage(context, null, 'send-security-notice', payload);
  };
  t.is(await deliver({ id: await promise(MAX_ID) }), 'sent');
  t.deepEqual(server.taken[0]?.to, [email]);
  t.is(await deliver({ id: await promise(MAX_ID + 1) }), 'obsolete');
});

test('the fail points lie between the effects that a crash can part', async (t) => {
  const passed: [FailpointName, number][] = [];
  const { fixture, server, deliver } = await setUpDelivery(t, context, {
    failpoint: (name) => void passed.push([name, server.taken.length]),
  });
  const { id } = await fixture.promiseConfirmation();
  await deliver({ id });
  t.deepEqual(passed, [
    ['after-250', 1],
    ['after-marker', 1],
  ]);
});

function decodeQuotedPrintable(source: string): string {
  return source
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
