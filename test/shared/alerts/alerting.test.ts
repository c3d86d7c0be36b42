import test from 'ava';
import { redState } from '../../../shared/alerts/evaluation.js';
import { subjectOf, type Notice } from '../../../shared/alerts/notice.js';
import { createWebhook } from '../../../shared/alerts/webhook.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { openSmtpServer } from '../../helpers/smtp-server.js';
import {
  checkOf,
  looks,
  mailsTo,
  openAlerts as openAlertsIn,
  openReceiver,
  sentOn,
  start,
} from './alerting-fixture.js';

shareProcess();

const context = useContext();
const openAlerts = () => openAlertsIn(context);
const never = new AbortController().signal;

// They all look at the one table.
test.serial.afterEach.always(() => context.rows('truncate alerts, heartbeats cascade'));

const at = new Date('2026-11-29T03:00:00Z');
const later = new Date('2026-11-29T03:20:00Z');
const notice: Notice = {
  environment: 'production',
  runbookUrl: 'https://users.test/ops/runbook',
  raised: [
    { ...redState('smtp_refuses', '554 <!channel> & Co refuses'), since: at },
    { ...redState('postgres_down', 'postgres cannot be reached'), since: at },
    { ...redState('dead_letters', '3 given up'), since: at },
  ],
  cleared: [{ ...redState('redis_down', 'redis cannot be reached'), since: at, until: later }],
};

test('a notice says in one line what is the matter, and in a line each what to do', async (t) => {
  t.is(
    subjectOf(notice),
    '[Rollcall production] The mail server refuses us; PostgreSQL is down; 1 more. Recovered: Redis is down',
  );
  const lines = String((await posted(t))['Message']).split('\n');
  t.is(lines.length, 4);
  t.is(
    lines[1],
    'CRITICAL: PostgreSQL is down. postgres cannot be reached. Since 2026-11-29 03:00:00 UTC. What to do: https://users.test/ops/runbook#postgresql-is-down',
  );
  t.is(
    lines[3],
    'RECOVERED: Redis is down. It lasted from 2026-11-29 03:00:00 UTC to 2026-11-29 03:20:00 UTC.',
  );
});

test('the webhook takes words of a stranger as words, and has every state in fields of its own', async (t) => {
  const { text, Type, Subject, alerts } = await posted(t);
  t.true(String(text).includes('554 &lt;!channel&gt; &amp; Co refuses'));
  t.false(String(text).includes('<'));
  t.is(Type, 'Notification');
  t.is(Subject, subjectOf(notice));
  t.like((alerts as unknown[])[0], {
    state: 'raised',
    name: 'smtp_refuses',
    severity: 'critical',
    detail: '554 <!channel> & Co refuses',
    since: '2026-11-29T03:00:00.000Z',
  });
  t.like((alerts as unknown[])[3], { state: 'cleared', until: '2026-11-29T03:20:00.000Z' });
});

/** What the webhook sends. */
async function posted(scope: Scope) {
  const { url, bodies } = await openReceiver(scope);
  await createWebhook(url).send(notice, never);
  return bodies[0] ?? {};
}

test('the webhook calls the URL of the configuration alone: a redirect is a failure', async (t) => {
  const target = await openReceiver(t);
  const redirecting = await openReceiver(t, () => ({ status: 307, location: target.url }));
  const error = await t.throwsAsync(createWebhook(redirecting.url).send(notice, never));
  t.is(error?.message, 'the answer was 307');
  t.is(redirecting.bodies.length, 1);
  t.deepEqual(target.bodies, []);
});

test('a failed call does not quote the URL, which may hold a secret', async (t) => {
  const { url, close } = await openReceiver(t);
  await close();
  const error = await t.throwsAsync(createWebhook(`${url}/secret-path`).send(notice, never));
  t.is(error?.message, 'the call failed: ECONNREFUSED');
});

test.serial(
  'what several processes see is told once on each channel, and so is its end',
  async (t) => {
    const hook = await openReceiver(t);
    const smtp = await openSmtpServer(t);
    const fault = { problem: '535 wrong password' as string | undefined };
    const processes = await Promise.all(
      [1, 2, 3].map(() =>
        start(t, context, {
          checks: { smtp: checkOf(fault) },
          channels: (log) => [createWebhook(hook.url), ...mailsTo(t, smtp, log)],
        }),
      ),
    );
    const mails = () =>
      smtp.taken.map(({ source }) => /^Subject: (.*)$/m.exec(source)?.[1]?.trim());
    await eventually(() => hook.bodies.length > 0 && mails().length > 1, { of: 'the notices' });
    t.like(hook.bodies[0], { alerts: [{ state: 'raised', name: 'smtp_refuses' }] });
    t.is(mails()[0], '[Rollcall test] The mail server refuses us');
    t.deepEqual(smtp.taken.flatMap(({ to }) => to).toSorted(), ['one@ops.test', 'two@ops.test']);
    t.deepEqual(await openAlerts(), ['smtp_refuses']);
    await looks(processes);
    t.is(hook.bodies.length, 1, 'once');
    t.is(mails().length, 2, 'once to each');

    fault.problem = undefined;
    await eventually(() => hook.bodies.length > 1 && mails().length > 3, { of: 'the end' });
    await looks(processes);
    t.is(hook.bodies.length, 2);
    t.like(hook.bodies[1], { alerts: [{ state: 'cleared', name: 'smtp_refuses' }] });
    t.is(mails()[2], '[Rollcall test] Recovered: The mail server refuses us');
    t.is(mails().length, 4);
    t.deepEqual(await openAlerts(), []);
    const messages = processes.flatMap(({ messages: of }) => of());
    t.is(messages.filter((message) => message === 'alert raised').length, 1);
    t.is(messages.filter((message) => message === 'alert cleared').length, 1);
  },
);

test.serial(
  'the way that is broken is not the only one: mail gets through without the webhook, and that is retried',
  async (t) => {
    let status = 500;
    const hook = await openReceiver(t, () => ({ status }));
    const smtp = await openSmtpServer(t);
    const { messages } = await start(t, context, {
      checks: { firehose: checkOf({ problem: 'AccessDeniedException' }) },
      channels: (log) => [createWebhook(hook.url), ...mailsTo(t, smtp, log)],
    });
    await eventually(() => smtp.taken.length === 2 && hook.bodies.length > 0, { of: 'the mails' });
    t.true(messages().includes('alert notice failed; will retry'));
    status = 200;
    await context.rows(`update alert_notices set claimed_until = now() where channel = 'webhook'`);
    await eventually(() => hook.bodies.length > 1, { of: 'the second try' });
    await eventually(async () => (await sentOn(context, 'webhook')) === 1, { of: 'its record' });
    t.is(smtp.taken.length, 2);
  },
);

test.serial('a failed notice is not tried again at once', async (t) => {
  const hook = await openReceiver(t, () => ({ status: 500 }));
  const process = await start(t, context, {
    checks: { firehose: checkOf({ problem: 'no' }) },
    channels: () => [createWebhook(hook.url)],
  });
  await eventually(() => hook.bodies.length > 0, { of: 'the first try' });
  await looks([process]);
  t.is(hook.bodies.length, 1);
});

test.serial('an end is told where the beginning could not be', async (t) => {
  let status = 500;
  const hook = await openReceiver(t, () => ({ status }));
  const fault = { problem: 'no' as string | undefined };
  await start(t, context, {
    checks: { firehose: checkOf(fault) },
    channels: () => [createWebhook(hook.url)],
  });
  await eventually(() => hook.bodies.length > 0, { of: 'the first try' });
  fault.problem = undefined;
  status = 200;
  await eventually(async () => (await openAlerts()).length === 0, { of: 'the end' });
  await context.rows('update alert_notices set claimed_until = now()');
  await eventually(() => hook.bodies.length > 1, { of: 'the notice' });
  t.like(hook.bodies[1], { alerts: [{ state: 'cleared', name: 'firehose_refuses' }] });
});

test.serial(
  'a state that comes and goes is told of once in a while; a moment is told of never',
  async (t) => {
    const hook = await openReceiver(t);
    const fault = { problem: 'no' as string | undefined };
    const process = await start(t, context, {
      checks: { firehose: checkOf(fault) },
      channels: () => [createWebhook(hook.url)],
      times: { sameStateMs: 600_000 },
    });
    await eventually(() => hook.bodies.length === 1, { of: 'the notice' });
    fault.problem = undefined;
    await eventually(() => hook.bodies.length === 2, { of: 'its end' });
    fault.problem = 'no';
    await eventually(async () => (await openAlerts()).length > 0, { of: 'the state, again' });
    await looks([process]);
    t.is(hook.bodies.length, 2);
    await context.rows(`update alert_notices set sent_at = sent_at - interval '10 minutes'`);
    await eventually(() => hook.bodies.length === 3, { of: 'the next notice' });
  },
);

test.serial('one finding raises nothing', async (t) => {
  let findings = 0;
  const process = await start(t, context, {
    checks: { firehose: async () => ({ ok: (findings += 1) % 2 === 0, problem: 'now and then' }) },
    channels: () => [],
  });
  await looks([process]);
  t.true(findings > 2);
  t.deepEqual(await context.rows('select from alerts'), []);
});

test.serial('what is raised soon after another goes into one message', async (t) => {
  const hook = await openReceiver(t);
  await start(t, context, {
    checks: {
      firehose: checkOf({ problem: 'no' }),
      smtp: checkOf({ problem: 'no' }),
    },
    channels: () => [createWebhook(hook.url)],
    times: { gatherMs: 200 },
  });
  await eventually(() => hook.bodies.length > 0, { of: 'the notice' });
  t.is(hook.alerts().length, 2);
});

test.serial(
  'the heartbeat is called once a minute by all together, and not while something is red',
  async (t) => {
    const beats = await openReceiver(t);
    const fault = { problem: undefined as string | undefined };
    const options = { heartbeatUrl: beats.url, checks: { firehose: checkOf(fault) } };
    const processes = [await start(t, context, options), await start(t, context, options)];
    await eventually(() => beats.calls() > 0, { of: 'the first beat' });
    await looks(processes);
    t.is(beats.calls(), 1);
    await context.rows(`update heartbeats set called_at = called_at - interval '1 minute'`);
    await eventually(() => beats.calls() > 1, { of: 'the next beat' });
    fault.problem = 'no';
    await looks(processes);
    await context.rows(`update heartbeats set called_at = called_at - interval '1 minute'`);
    await looks(processes);
    t.is(beats.calls(), 2);
  },
);

test.serial('a heartbeat that failed is tried again soon', async (t) => {
  const beats = await openReceiver(t, (call) => ({ status: call === 1 ? 503 : 200 }));
  const { messages } = await start(t, context, { heartbeatUrl: beats.url });
  await eventually(() => beats.calls() > 1, { of: 'the second try' });
  t.true(messages().includes('heartbeat failed'));
});

test.serial(
  'lines that were dropped before the first look are red, as those that follow',
  async (t) => {
    const spool = { bytes: 0, maxBytes: 100, oldestSeconds: 0, droppedLines: 7 };
    const process = await start(t, context, { spoolUse: () => spool });
    await looks([process]);
    t.deepEqual(await openAlerts(), ['log_lines_dropped']);
  },
);

test.serial('a spool that has dropped nothing is well', async (t) => {
  const spool = { bytes: 0, maxBytes: 100, oldestSeconds: 0, droppedLines: 0 };
  const process = await start(t, context, { spoolUse: () => spool });
  await looks([process]);
  t.deepEqual(await openAlerts(), []);
});

test.serial(
  'tasks that fail are red, unless Redis was away: then they must have the time to run again',
  async (t) => {
    await context.rows(
      `insert into task_runs (task, finished_at, outcome, error, result)
     values ('sweep-outbox', now(), 'failed', 'no queue', '{"failed_in_a_row": 3}')`,
    );
    t.teardown(() => context.rows('truncate task_runs'));
    const well = await start(t, context, {});
    await looks([well]);
    t.deepEqual(await openAlerts(), ['task_failing']);
    await well.stop();
    await context.rows('truncate alerts cascade');

    const fault: { problem: string | undefined } = { problem: 'redis cannot be reached' };
    const process = await start(t, context, { checks: { redis: checkOf(fault) } });
    await looks([process]);
    t.deepEqual(await openAlerts(), ['redis_down']);
    fault.problem = undefined;
    await eventually(async () => (await openAlerts()).length === 0);
    await looks([process]);
    t.deepEqual(await openAlerts(), []);
  },
);
