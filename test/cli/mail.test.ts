import { randomUUID } from 'node:crypto';
import { userInfo } from 'node:os';
import test from 'ava';
import { shareProcess, useContext } from '../helpers/context.js';
import { insertAdmin, insertMessage, openFixture } from '../workers/fixture.js';
import { runCli, runCliJson } from './run-cli.js';

shareProcess();

const context = useContext();
/** The audit event names the user of the operating system. */
const ACTOR = `cli/${userInfo().username}`;

interface MailHistory {
  readonly id: string;
  readonly about: string | null;
  readonly state: string;
  readonly outcome: string | null;
  readonly request_id: string | null;
  readonly span_id: string | null;
  readonly steps: readonly (Readonly<Record<string, unknown>> & { step: string; at: string })[];
}

test('mail show lists the history of a mail in order, from its cause to the provider’s events', async (t) => {
  const fixture = await openFixture(t, context);
  const promised = await fixture.promiseConfirmation({ message: { state: 'settled' } });
  const { id, email } = promised;
  await context.rows(
    `update outbox set recipient = upper($2), created_at = now() - interval '10 minutes', outcome = 'sent',
            enqueued_at = now() - interval '9 minutes', enqueue_count = 1, settled_at = now() - interval '6 minutes',
            template = 'confirmation', request_id = 'request-of-cause', span_id = 'abcdef0123456789'
      where id = $1`,
    [id, email],
  );
  await context.rows(
    `insert into deliveries (outbox_id, attempt, worker, started_at, finished_at, outcome, response, provider_id) values
       ($1, 1, 'host:1', now() - interval '8 minutes', now() - interval '8 minutes', 'deferred', '451 later', null),
       ($1, 2, 'host:2', now() - interval '7 minutes', now() - interval '6 minutes', 'sent', '250 Ok 0100-1', '0100-1')`,
    [id],
  );
  await context.rows(
    `insert into mail_events (id, outbox_id, provider_id, type, subtype, at, detail, fingerprint)
     values (gen_random_uuid(), $1, '0100-1', 'bounced', 'Permanent/General', now() - interval '5 minutes', '550 no', $2)`,
    [id, randomUUID()],
  );
  await context.rows(
    `insert into suppressions (email_canonical, reason) values (lower($1), 'bounce')`,
    [email],
  );

  const { code, json, stdout } = await runCliJson(context, ['mail', 'show', email.toUpperCase()]);
  t.is(code, 0);
  t.like(json, {
    ok: true,
    suppressed: { reason: 'bounce' },
    registrations: 1,
    admin: null,
  });
  const [history, ...others] = json['messages'] as MailHistory[];
  t.is(others.length, 0);
  t.like(history, { id, about: 'confirmation', state: 'settled', outcome: 'sent' });
  t.like(history, { request_id: 'request-of-cause', span_id: 'abcdef0123456789' });
  t.deepEqual(
    history?.steps.map(({ step, outcome }) => [step, outcome]),
    [
      ['asked', undefined],
      ['enqueued', undefined],
      ['tried', 'deferred'],
      ['tried', 'sent'],
      ['settled', 'sent'],
      ['bounced', undefined],
    ],
  );
  t.notRegex(stdout, /token|https?:/);

  const { stdout: text } = await runCli(context, ['mail', 'show', email]);
  t.regex(text, /registered 1 time, not confirmed/);
  t.regex(text, /request request-of-cause \(span abcdef0123456789\)/);
  t.regex(text, /SUPPRESSED since .* after a bounce/);
  t.regex(text, /attempt 1 by host:1: deferred at .*: 451 later/);
  t.regex(text, /bounced \(Permanent\/General\): 550 no/);
});

test('mail show finds mails to a former address, and those of the admin that has the address', async (t) => {
  const { adminId, email } = await insertAdmin(context);
  const payload = { v: 1, admin_id: adminId, notice: 'password_changed' };
  const id = await insertMessage(context, adminId, 'send-security-notice', payload);
  const former = context.uniqueAddress('former');
  await context.rows('update outbox set recipient = $2 where id = $1', [id, former]);
  for (const address of [email, former]) {
    const { json } = await runCliJson(context, ['mail', 'show', address]);
    t.deepEqual(
      (json['messages'] as MailHistory[]).map((history) => history.id),
      [id],
      address,
    );
  }
  const { json } = await runCliJson(context, ['mail', 'show', former]);
  t.is(json['admin'], null);
  await context.rows('delete from admins where id = $1', [adminId]);
  t.is((await runCli(context, ['mail', 'show', former])).code, 0);
});

test('mail show lists a mail whose payload is malformed, too', async (t) => {
  const { adminId, email } = await insertAdmin(context);
  const payload = { v: 1, confirmation_id: 'none' };
  const id = await insertMessage(context, adminId, 'send-confirmation-mail', payload);
  const { code, json } = await runCliJson(context, ['mail', 'show', email]);
  t.is(code, 0);
  t.like((json['messages'] as MailHistory[])[0], { id, about: null });
});

test('an unknown address is reported in one line and is a failure', async (t) => {
  const { code, stdout, stderr } = await runCli(context, ['mail', 'show', 'nobody@x.test']);
  t.deepEqual(
    [code, stdout, stderr],
    [1, '', 'no mail, registration or admin found for nobody@x.test\n'],
  );
  const json = await runCliJson(context, ['mail', 'show', 'nobody@x.test']);
  t.deepEqual([json.code, json.json['ok'], json.stderr], [1, false, '']);
});

test.serial(
  'a dead letter is listed, tried again under a new generation, and its error stays visible',
  async (t) => {
    const fixture = await openFixture(t, context);
    const { id, email } = await fixture.promiseConfirmation({ message: { state: 'dead' } });
    await context.rows(
      `update outbox set recipient = $2, last_error = '550 refused', attempts = 3 where id = $1`,
      [id, email],
    );
    await context.rows(
      `insert into deliveries (outbox_id, attempt, worker, finished_at, outcome, response) values ($1, 3, 'w', now(), 'refused', '550 refused')`,
      [id],
    );
    const listed = await runCliJson(context, ['mail', 'dead']);
    t.is(listed.code, 0);
    t.like(listed.json, { ok: true, total: 1 });
    t.like((listed.json['letters'] as object[])[0], { id, recipient: email, error: '550 refused' });
    t.regex((await runCli(context, ['mail', 'dead'])).stdout, /3 attempts, then: 550 refused/);

    const { code, stdout } = await runCli(context, ['mail', 'redrive', id]);
    t.deepEqual([code, stdout], [0, `${id} is retried\n`]);
    t.like(await fixture.messageOf(id), { state: 'pending', generation: 1, enqueue_count: 0 });
    const events = await context.rows(
      `select details from audit_events where event = 'mail_redriven'`,
    );
    t.deepEqual(events, [{ details: { outbox_id: id, error: '550 refused', actor: ACTOR } }]);
    const { json } = await runCliJson(context, ['mail', 'show', email]);
    const steps = (json['messages'] as MailHistory[])[0]?.steps ?? [];
    t.true(steps.some(({ step, response }) => step === 'tried' && response === '550 refused'));
    t.true(steps.some(({ step, error }) => step === 'redriven' && error === '550 refused'));

    const again = await runCli(context, ['mail', 'redrive', id]);
    t.deepEqual([again.code, again.stderr], [1, 'the message is not dead but pending\n']);
  },
);

test.serial('all dead letters are tried again at a pace', async (t) => {
  const fixture = await openFixture(t, context);
  const dead = { state: 'dead', createdAt: `now() - interval '1 day'` };
  const ids = await Promise.all(
    Array.from({ length: 205 }, () => insertMessage(context, null, 'x', {}, dead)),
  );
  const { code, json } = await runCliJson(context, ['mail', 'redrive', '--all', '--rate', '100']);
  t.is(code, 0);
  t.like(json, { ok: true, redriven: 205, rate: 100, state: 'completed' });
  const [spread] = await context.rows<{ n: number; seconds: number }>(
    `select count(distinct available_at)::int as n,
            extract(epoch from max(available_at) - min(available_at))::float as seconds
       from outbox where id = any($1::uuid[]) and state = 'pending' and generation = 1`,
    [ids],
  );
  t.is(spread?.n, 205);
  // A hundred a second at most; a slow machine leaves gaps between the batches.
  t.true((spread?.seconds ?? 0) >= 204 / 100 - 0.1, `spread over ${spread?.seconds} s`);
  const nothing = await runCli(context, ['mail', 'redrive', '--all']);
  t.deepEqual([nothing.code, nothing.stdout], [0, 'no mail has been given up\n']);
  t.is((await fixture.messageOf(ids[0] ?? '')).attempts, 0);
});

test.serial('a dead letter that is discarded is settled, and the audit knows', async (t) => {
  const fixture = await openFixture(t, context);
  const { id } = await fixture.promiseConfirmation({ message: { state: 'dead' } });
  const { code, json } = await runCliJson(context, ['mail', 'discard', id]);
  t.deepEqual([code, json], [0, { ok: true, id, discarded: true }]);
  const message = await fixture.messageOf(id);
  t.like(message, { state: 'settled', outcome: 'discarded' });
  t.not(message.settled_at, null);
  const audited = `select event from audit_events where details->>'outbox_id' = $1`;
  t.deepEqual(await context.rows(audited, [id]), [{ event: 'mail_discarded' }]);
  t.is((await runCli(context, ['mail', 'discard', id])).code, 1);
  const unknown = await runCli(context, ['mail', 'discard', randomUUID()]);
  t.deepEqual([unknown.code, unknown.stderr], [1, 'there is no such message\n']);
});

test.serial(
  'a mail that is perhaps sent is a group of its own; --all leaves it alone, redrive and discard decide about it',
  async (t) => {
    const fixture = await openFixture(t, context);
    await context.rows('delete from outbox');
    const uncertain = async (): Promise<string> => {
      const { id, email } = await fixture.promiseConfirmation({ message: { state: 'uncertain' } });
      await context.rows(
        `update outbox set recipient = $2, last_error = 'perhaps sent: no answer', unanswered = 3, attempts = 3 where id = $1`,
        [id, email],
      );
      return id;
    };
    const id = await uncertain();
    const listed = await runCliJson(context, ['mail', 'dead']);
    t.like(listed.json, { ok: true, total: 0, letters: [] });
    t.like(listed.json['uncertain'], { total: 1 });
    const { stdout } = await runCli(context, ['mail', 'dead']);
    t.regex(
      stdout,
      /no mail has been given up\n\nPerhaps sent: [^]*3 attempts, then: perhaps sent/,
    );
    t.regex(stdout, /1 mail perhaps sent\. Retry with `mail redrive ID`/);
    const { json: counted } = await runCliJson(context, ['outbox']);
    t.like(counted['uncertain'], { count: 1 });
    const [row] = await context.rows<{ recipient: string }>(
      'select recipient from outbox where id = $1',
      [id],
    );
    t.regex((await runCli(context, ['mail', 'show', row?.recipient ?? ''])).stdout, /PERHAPS SENT/);
    t.regex(
      (await runCli(context, ['doctor'])).stdout,
      /^PROBLEM {2}dead letters +0 given up, 1 perhaps sent/m,
    );

    t.is((await runCliJson(context, ['mail', 'redrive', '--all'])).json['redriven'], 0);
    t.is((await fixture.messageOf(id)).state, 'uncertain');
    t.is((await runCli(context, ['mail', 'redrive', id])).code, 0);
    t.like(await fixture.messageOf(id), { state: 'pending', generation: 1, unanswered: 0 });
    const other = await uncertain();
    t.is((await runCli(context, ['mail', 'discard', other])).code, 0);
    t.like(await fixture.messageOf(other), { state: 'settled', outcome: 'discarded' });
  },
);

test('an address is taken off the suppression list, once, and the audit knows', async (t) => {
  const fixture = await openFixture(t, context);
  const { id, email } = await fixture.promiseConfirmation();
  await context.rows(
    `with event as (insert into mail_events (id, outbox_id, provider_id, type, at, fingerprint)
       values (gen_random_uuid(), $2, 'p', 'complained', now(), gen_random_uuid()) returning id)
     insert into suppressions (email_canonical, reason, event_id) select $1, 'complaint', id from event`,
    [email, id],
  );
  const { code, json } = await runCliJson(context, ['mail', 'unsuppress', email.toUpperCase()]);
  t.is(code, 0);
  t.like(json, { ok: true, reason: 'complaint' });
  t.like(
    await context.rows(`select event, details from audit_events where details->>'outbox_id' = $1`, [
      id,
    ]),
    [
      {
        event: 'email_suppression_lifted',
        details: { suppression: 'complaint', outbox_id: id, actor: ACTOR },
      },
    ],
  );
  const again = await runCli(context, ['mail', 'unsuppress', email]);
  t.deepEqual([again.code, again.stderr], [1, 'the address is not suppressed\n']);
});
