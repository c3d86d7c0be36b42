import { randomUUID } from 'node:crypto';
import test from 'ava';
import { deriveKeyRing } from '../../shared/crypto/keys.js';
import { confirmationIdOf } from '../../shared/identity/confirmation-token.js';
import type { Failpoint, FailpointName } from '../../shared/lifecycle/failpoint.js';
import { createFaultBoard } from '../../workers/fault-board.js';
import {
  JobHandedBack,
  JobPostponed,
  PermanentFailure,
  QueueThrottled,
} from '../../workers/job-effects.js';
import { createDeliverMail } from '../../workers/mail/deliver-mail.processor.js';
import { openSmtpMailer } from '../../workers/mail/smtp.mailer.js';
import { useContext, type Scope } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { linksIn } from '../helpers/mailbox.js';
import { openSmtpServer, type SmtpBehaviour } from '../helpers/smtp-server.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { insertMessage, jobContext, setStage } from './stage.js';

const context = useContext();

test('a promised mail is sent once, with a link that names the confirmation, and recorded', async (t) => {
  const { stage, server, deliver } = await setUp(t);
  const promised = await stage.promiseConfirmation();
  const tried = jobContext();
  t.is(await deliver(promised, tried), 'sent');

  const [mail] = server.taken;
  t.deepEqual(mail?.to, [promised.email]);
  const [link] = linksIn({ text: decodeQuotedPrintable(mail?.source ?? '') });
  t.is(link?.origin, 'https://rollcall.example');
  t.is(link?.pathname, '/auth/confirm');
  t.is(confirmationIdOf(link?.searchParams.get('token') ?? ''), promised.confirmationId);

  const message = await stage.messageOf(promised.id);
  t.like(message, {
    state: 'settled',
    outcome: 'sent',
    attempts: 1,
    claimed_until: null,
    last_error: null,
  });
  t.not(message.settled_at, null);
  const [delivery, ...others] = await stage.deliveriesOf(promised.id);
  t.is(others.length, 0);
  t.like(delivery, { attempt: 1, worker: 'test:1', outcome: 'sent' });
  t.regex(delivery?.response ?? '', /^250 /);
  t.not(delivery?.finished_at, null);
  t.regex(String(tried.fields['trace.id']), /^[0-9a-f]{32}$/);
});

test('a message whose job was not marked yet is carried out all the same, and stays settled', async (t) => {
  const { stage, deliver } = await setUp(t);
  const { id } = await stage.promiseConfirmation();
  t.is((await stage.messageOf(id)).state, 'pending');
  t.is(await deliver({ id }), 'sent');
  t.is((await stage.messageOf(id)).state, 'settled');
});

test('the second copy of a job finds the marker and does nothing', async (t) => {
  const { stage, server, deliver } = await setUp(t);
  const { id } = await stage.promiseConfirmation();
  t.is(await deliver({ id }), 'sent');
  t.is(await deliver({ id }), 'already');
  t.is(server.received.length, 1);
  t.is((await stage.deliveriesOf(id)).length, 1);
});

test('a job of another generation, of a dead message or of none does nothing', async (t) => {
  const { stage, server, deliver } = await setUp(t);
  const { id } = await stage.promiseConfirmation();
  t.is(await deliver({ id, generation: 1 }), 'already');
  t.is(await deliver({ id: randomUUID() }), 'already');
  const dead = await stage.promiseConfirmation({ message: { state: 'dead' } });
  t.is(await deliver(dead), 'already');
  t.is(server.received.length, 0);
});

test('two workers at once: one sends, the other waits for the rest of the claim', async (t) => {
  let answer: () => void = () => undefined;
  const asked = new Promise<'take'>((resolve) => {
    answer = () => resolve('take');
  });
  const { stage, server, deliver } = await setUp(t, { smtp: { onMail: () => asked } });
  const { id } = await stage.promiseConfirmation();
  const first = deliver({ id });
  await eventually(() => server.received.length === 1);
  const postponed = await t.throwsAsync(deliver({ id }), { instanceOf: JobPostponed });
  t.true((postponed?.delayMs ?? 0) > 1_000 && (postponed?.delayMs ?? 0) <= 30_000);
  answer();
  t.is(await first, 'sent');
  t.is(server.received.length, 1);
  t.is((await stage.deliveriesOf(id)).length, 1);
});

test('many claims at the same moment: one wins', async (t) => {
  const { stage, server, deliver } = await setUp(t, { poolMax: 20 });
  const { id } = await stage.promiseConfirmation();
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, () =>
      deliver({ id }).catch((error: unknown) =>
        error instanceof JobPostponed ? 'postponed' : error,
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
  const { stage, server, deliver } = await setUp(t);
  const { id } = await stage.promiseConfirmation();
  await context.rows(
    `update outbox set claimed_until = now() - interval '1 millisecond', attempts = 1 where id = $1`,
    [id],
  );
  t.is(await deliver({ id }), 'sent');
  t.is((await stage.messageOf(id)).attempts, 2);
  t.is(server.received.length, 1);
});

const obsolete: readonly [
  why: string,
  overrides: Parameters<Awaited<ReturnType<typeof setStage>>['promiseConfirmation']>[0],
][] = [
  ['the link has been used', { confirmedAt: 'now()' }],
  ['a newer link has taken its place', { supersededAt: 'now()' }],
  ['the link has expired', { expiresAt: `now() - interval '1 second'` }],
];
for (const [why, overrides] of obsolete) {
  test(`no mail is sent when ${why}`, async (t) => {
    const { stage, server, deliver } = await setUp(t);
    const { id } = await stage.promiseConfirmation(overrides);
    t.is(await deliver({ id }), 'obsolete');
    t.is(server.received.length, 0);
    t.like(await stage.messageOf(id), {
      state: 'settled',
      outcome: 'obsolete',
      claimed_until: null,
    });
    t.like((await stage.deliveriesOf(id))[0], { outcome: 'obsolete', response: why });
  });
}

test('no mail is sent when the admin is gone', async (t) => {
  const { stage, server, deliver } = await setUp(t);
  for (const promised of [await stage.promiseConfirmation(), await stage.promiseAccountExists()]) {
    await context.rows('delete from admins where id = $1', [promised.adminId]);
    t.is(await deliver(promised), 'obsolete');
    t.like(await stage.messageOf(promised.id), { state: 'settled', outcome: 'obsolete' });
  }
  t.is(server.received.length, 0);
});

test('the owner of an account is told, without any token', async (t) => {
  const { stage, server, deliver } = await setUp(t);
  const promised = await stage.promiseAccountExists();
  t.is(await deliver(promised), 'sent');
  t.deepEqual(server.taken[0]?.to, [promised.email]);
  t.regex(server.taken[0]?.source ?? '', /^Subject: You already have an account\r$/m);
  t.notRegex(server.taken[0]?.source ?? '', /token/);
});

test('a deferral gives the claim back and tells why, without the address', async (t) => {
  const { stage, deliver } = await setUp(t, {
    smtp: { onRecipient: (to) => ({ code: 451, text: `<${to}> greylisted` }) },
  });
  const { id } = await stage.promiseConfirmation({ message: { state: 'enqueued' } });
  const error = await t.throwsAsync(deliver({ id }));
  t.false(error instanceof PermanentFailure);
  t.is(error?.message, '451 <[address]> greylisted');
  t.like(await stage.messageOf(id), {
    state: 'enqueued',
    claimed_until: null,
    last_error: '451 <[address]> greylisted',
  });
  t.like((await stage.deliveriesOf(id))[0], {
    outcome: 'deferred',
    response: '451 <[address]> greylisted',
  });
});

test('a refusal ends in a dead message', async (t) => {
  const { stage, deliver } = await setUp(t, {
    smtp: { onRecipient: () => ({ code: 550, text: 'no such user' }) },
  });
  const { id } = await stage.promiseConfirmation({ message: { state: 'enqueued' } });
  await t.throwsAsync(deliver({ id }), {
    instanceOf: PermanentFailure,
    message: '550 no such user',
  });
  t.like(await stage.messageOf(id), {
    state: 'dead',
    claimed_until: null,
    last_error: '550 no such user',
  });
  t.like((await stage.deliveriesOf(id))[0], { outcome: 'refused' });
});

test('the last try of a deferral ends in a dead message', async (t) => {
  const { stage, deliver } = await setUp(t, {
    smtp: { onMail: () => ({ code: 452, text: 'full' }) },
  });
  const { id } = await stage.promiseConfirmation();
  await t.throwsAsync(deliver({ id }, jobContext({ isLastAttempt: true })), {
    instanceOf: PermanentFailure,
  });
  t.like(await stage.messageOf(id), { state: 'dead', last_error: '452 full' });
  t.like((await stage.deliveriesOf(id))[0], { outcome: 'deferred' });
});

test('a payload that no version has ends in a dead message; an unknown kind of mail is left to a newer worker', async (t) => {
  const { stage, deliver } = await setUp(t);
  const bad = await insertMessage(context, null, 'send-confirmation-mail', {
    v: 1,
    confirmation_id: "1'; drop table users",
  });
  await t.throwsAsync(deliver({ id: bad }), { instanceOf: PermanentFailure });
  t.is((await stage.messageOf(bad)).state, 'dead');

  const newer = await insertMessage(context, null, 'send-birthday-mail', { v: 1 });
  const error = await t.throwsAsync(deliver({ id: newer }));
  t.false(error instanceof PermanentFailure);
  t.is((await stage.messageOf(newer)).state, 'pending');
});

test('a throttled server gives the whole queue a rest, even at the last try', async (t) => {
  const { stage, deliver, problem } = await setUp(t, {
    smtp: {
      onMail: () => ({ code: 454, text: 'Throttling failure: Maximum sending rate exceeded' }),
    },
  });
  const { id } = await stage.promiseConfirmation();
  const error = await t.throwsAsync(deliver({ id }, jobContext({ isLastAttempt: true })), {
    instanceOf: QueueThrottled,
  });
  t.true((error?.restMs ?? 0) <= 1_500);
  t.like(await stage.messageOf(id), { state: 'pending', claimed_until: null });
  t.is(await problem(), undefined);
});

test('wrong credentials rest the queue and turn readiness red until a mail has gone', async (t) => {
  let isRight = false;
  const { stage, server, deliver, problem } = await setUp(t, {
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
  const { id } = await stage.promiseConfirmation();
  const error = await t.throwsAsync(deliver({ id }, jobContext({ isLastAttempt: true })), {
    instanceOf: QueueThrottled,
  });
  t.is(error?.restMs, 60_000);
  t.is(await problem(), '535 Authentication Credentials Invalid');
  isRight = true;
  t.is(await deliver({ id }), 'sent');
  t.is(await problem(), undefined);
  t.is(server.taken.length, 1);
});

test('at shutdown a job that has not begun, or whose mail the server has not got, is handed back', async (t) => {
  const { stage, server, deliver } = await setUp(t, { smtp: { onRecipient: () => 'hang' } });
  const { id } = await stage.promiseConfirmation();
  const aborted = jobContext();
  aborted.abort();
  await t.throwsAsync(deliver({ id }, aborted), { instanceOf: JobHandedBack });
  t.is((await stage.deliveriesOf(id)).length, 0);

  const tried = jobContext();
  const sending = deliver({ id }, tried);
  await eventually(async () => (await stage.deliveriesOf(id)).length === 1);
  tried.abort();
  await t.throwsAsync(sending, { instanceOf: JobHandedBack });
  t.like(await stage.messageOf(id), { state: 'pending', claimed_until: null });
  t.is(server.received.length, 0);
});

test('the fail points lie between the effects that a crash can part', async (t) => {
  const passed: [FailpointName, number][] = [];
  const { stage, server, deliver } = await setUp(t, {
    failpoint: (name) => void passed.push([name, server.taken.length]),
  });
  const { id } = await stage.promiseConfirmation();
  await deliver({ id });
  t.deepEqual(passed, [
    ['after-250', 1],
    ['after-marker', 1],
  ]);
});

test('with PostgreSQL gone nothing is counted against the job', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { stage, server, deliver } = await setUp(t, {
    databaseUrl: proxy.urlFor(context.databaseUrl),
  });
  const { id } = await stage.promiseConfirmation();
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
  const { stage, server, deliver } = await setUp(t, {
    databaseUrl: proxy.urlFor(context.databaseUrl),
    smtp: {
      onMail: async () => {
        await proxy.refuse();
        return 'take' as const;
      },
    },
  });
  const { id } = await stage.promiseConfirmation();
  const delivering = deliver({ id });
  await eventually(() => server.taken.length === 1);
  await proxy.restore();
  t.is(await delivering, 'sent');
  t.like(await stage.messageOf(id), { state: 'settled', outcome: 'sent' });
  t.is(server.received.length, 1);
});

interface SetUp {
  readonly smtp?: SmtpBehaviour;
  readonly credentials?: { username: string; password: string };
  readonly databaseUrl?: string;
  readonly poolMax?: number;
  readonly failpoint?: Failpoint;
}

async function setUp(
  scope: Scope,
  { smtp, credentials, databaseUrl, poolMax = 5, failpoint = () => undefined }: SetUp = {},
) {
  const stage = await setStage(scope, context);
  const server = await openSmtpServer(scope, smtp);
  const mailer = openSmtpMailer(
    {
      host: server.host,
      port: server.port,
      tls: 'optional',
      credentials,
      from: { name: 'Rollcall', address: 'no-reply@rollcall.example' },
      ratePerSecond: 100,
      configurationSet: undefined,
    },
    stage.log,
  );
  scope.teardown(() => mailer.close());
  const faults = createFaultBoard();
  const process = createDeliverMail({
    database: openTestDatabase(scope, databaseUrl ?? context.databaseUrl, { poolMax }),
    service: 'Rollcall',
    publicUrl: 'https://rollcall.example',
    confirmationKeys: deriveKeyRing({ current: 'a secret', previous: [] }, 'confirmation'),
    mailer,
    faults,
    failpoint,
    log: stage.log,
    worker: 'test:1',
    claimMs: 30_000,
  });
  const deliver = (
    { id, generation = 0 }: { id: string; generation?: number },
    tried = jobContext(),
  ): Promise<string> => process({ v: 1, outbox_id: id, generation }, tried);
  return { stage, server, deliver, problem: async () => (await faults.checks.smtp()).problem };
}

function decodeQuotedPrintable(source: string): string {
  return source
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
