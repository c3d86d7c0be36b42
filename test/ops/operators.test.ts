import { randomUUID } from 'node:crypto';
import test from 'ava';
import {
  readAdminDetails,
  searchAdmins,
  searchRegistrations,
  sendConfirmation,
} from '../../api/ops/admin-search.service.js';
import { auditCsv, csvCell, readAuditEvents } from '../../api/ops/audit-trail.service.js';
import { pauseQueue, readQueueReports, resumeQueue } from '../../api/ops/queues.service.js';
import { readSchedule, requestTask } from '../../api/ops/schedule.service.js';
import { liftSuppression, listSuppressions } from '../../api/ops/mail/suppressions.service.js';
import { readMailHistory } from '../../api/ops/mail/mail-timeline.service.js';
import { logOutEverywhere } from '../../api/sessions/sessions.service.js';
import { createAudit, readReason } from '../../shared/audit/audit.js';
import { MAX_ID } from '../../shared/database/ids.js';
import { commonChecks, readiness } from '../../shared/health/readiness.js';
import { readTypedAddress, type EmailAddress } from '../../shared/identity/email-address.js';
import { createFailpoint } from '../../shared/lifecycle/failpoint.js';
import { createOutbox } from '../../shared/outbox/outbox.js';
import { openQueues } from '../../shared/queues/queues.js';
import { queueNames, type QueueName } from '../../shared/queues/registry.js';
import { startRequestedTasks } from '../../workers/tasks/requested-tasks.js';
import { createTaskRuns, recordSweeps } from '../../workers/tasks/task-runs.js';
import { createTasks } from '../../workers/tasks/tasks.js';
import { anyJob } from '../helpers/any-job.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { insertAdmin, insertMessage, openFixture } from '../workers/fixture.js';

shareProcess();

const context = useContext();
const cause = { traceId: 'f'.repeat(32), operatorId: 7, reason: 'the provider is moving' };

test('a reason is bounded, on one line and visible, and without addresses', (t) => {
  t.is(readReason('  gone: ada@x.test '), 'gone: [address]');
  for (const text of ['وصل', 'क्‍ष', '👩‍💻', 'a\u200bb', '字', '?']) t.is(readReason(text), text);
  for (const nothing of [
    ...[
      '',
      ' ',
      '\u00a0',
      '\u2800',
      '\u200b',
      '\u200b \u2060',
      '\u00ad',
      '\ufe0f',
      '\u3164',
      '\u0301',
    ],
    ...['\0', '\t', '\n', '\r', '\u001b', '\u007f', '\u0085', '\u2028', '\u2029'].map(
      (sign) => `a${sign}b`,
    ),
    ...['\u202a', '\u202e', '\u2066', '\u2069'].map((sign) => `a${sign}b`),
    ...['\ud800', '\udc00'].map((half) => `a${half}b`),
  ])
    t.is(readReason(nothing), undefined, JSON.stringify(nothing));
  t.is(readReason('x'.repeat(500)), 'x'.repeat(500));
  t.is(readReason('x'.repeat(501)), undefined);
});

test.serial(
  'a paused queue says why, its jobs wait, and readiness blames nobody else',
  async (t) => {
    const { queues, database, ...deps } = await open(t);
    await queues.mail.add({ id: 'o-1', contract: anyJob('mail'), data: {} });
    const hourAgo = `now() - interval '1 hour'`;
    const waiting = { state: 'enqueued', enqueuedAt: hourAgo, createdAt: hourAgo };
    await insertMessage(context, null, 'x', {}, waiting);
    const checks = commonChecks(database, queues);
    const outboxProblem = async (): Promise<string | undefined> =>
      (await readiness(checks, () => false)).checks['outbox']?.problem;
    t.is(await outboxProblem(), 'enqueued messages are not being processed');
    t.is(await queues.mail.countRunnable(), 1);

    await pauseQueue({ ...deps, database, queues }, 'mail', cause);
    t.is(await queues.mail.countRunnable(), 0, 'neither a worker nor the watchdog sees any');
    t.is(await queues.mail.countOpen(), 1);
    const reportOf = async (name: QueueName) =>
      (await readQueueReports({ queues })).find((report) => report.name === name);
    const [mail, logs] = [await reportOf('mail'), await reportOf('logs')];
    t.like(mail, { name: 'mail', counts: { waiting: 1 }, problem: null, throttled_until: null });
    t.like(mail?.paused, { reason: cause.reason, by: 'operator 7' });
    t.true((mail?.paused?.since.getTime() ?? 0) > Date.now() - 60_000);
    t.is(logs?.paused, null);
    t.is(await outboxProblem(), 'the queue mail was paused by an operator');

    await queues.mail.throttle(60_000);
    t.true((await reportOf('mail'))?.throttled_until instanceof Date);
    t.true(await resumeQueue({ ...deps, database, queues }, 'mail', cause));
    t.false(await resumeQueue({ ...deps, database, queues }, 'mail', cause));
    t.like(await reportOf('mail'), { paused: null, counts: { waiting: 1 } });
    t.deepEqual(
      await context.rows(
        `select event, details from audit_events where event like 'queue%' order by id`,
      ),
      ['queue_paused', 'queue_resumed'].map((event) => ({
        event,
        details: { queue: 'mail', operator_id: 7, reason: cause.reason },
      })),
    );
    await context.rows('delete from outbox');
  },
);

test.serial(
  'without Redis the queues are reported as such, and a pause fails unaudited',
  async (t) => {
    const { database, audit, log } = await open(t);
    const nowhere = 'redis://127.0.0.1:1';
    const queues = openQueues({ url: nowhere, logsUrl: nowhere }, log);
    t.teardown(() => queues.close());
    const reports = await readQueueReports({ queues });
    t.deepEqual(
      reports.map(({ counts, problem }) => [counts, problem]),
      queueNames.map(() => [null, 'Redis cannot be reached']),
    );
    const unaudited = { ...cause, traceId: 'e'.repeat(32) };
    for (const act of [pauseQueue, resumeQueue])
      await t.throwsAsync(act({ database, audit, queues }, 'mail', unaudited), {
        code: 'unavailable',
        message: 'Redis cannot be reached',
      });
    t.deepEqual(
      await context.rows('select from audit_events where trace_id = $1', [unaudited.traceId]),
      [],
    );
  },
);

test.serial(
  'a task that is asked for runs once over all workers, and the schedule shows it',
  async (t) => {
    const { database, log, ...deps } = await open(t);
    const worker = 'host:1';
    const runs = createTaskRuns({ database, log, worker });
    let sweeps = 0;
    const sweep = recordSweeps(
      {
        run: async () => {
          sweeps += 1;
          if (sweeps === 2) throw new Error('no answer for ada@x.test');
          return { checked: 3, returned: 2, dead_lettered: 0 };
        },
      },
      runs,
    );
    const tasks = createTasks({ database, sweep, runs, log });
    t.true((await readSchedule({ database })).every(({ started_at: at }) => at === null));
    await requestTask({ database, ...deps }, 'sweep-outbox', cause);
    t.not((await readSchedule({ database }))[0]?.requested_at, null);
    const workers = [1, 2].map(() => startRequestedTasks({ database, tasks, log }, 10));
    t.teardown(() => Promise.all(workers.map((each) => each.stop())));
    await eventually(async () => (await readSchedule({ database }))[0]?.outcome === 'completed');
    const [swept] = await readSchedule({ database });
    t.like(swept, {
      task: 'sweep-outbox',
      every_seconds: 30,
      worker,
      result: { checked: 3, returned: 2, dead_lettered: 0 },
      error: null,
    });
    await eventually(async () => (await readSchedule({ database }))[0]?.requested_at === null);
    t.is(sweeps, 1);
    await requestTask({ database, ...deps }, 'sweep-outbox', cause);
    await eventually(async () => (await readSchedule({ database }))[0]?.outcome === 'failed');
    const [failed] = await readSchedule({ database });
    t.like(failed, { result: { failed_in_a_row: 1 }, error: 'Error: no answer for [address]' });
    t.true((failed?.requested_at?.getTime() ?? Infinity) <= Date.now(), 'still asked for');
    // What failed is still asked for: a worker repeats it when its claim has ended, as that of one that has died.
    await context.rows('update task_runs set requested_at = now() where requested_at > now()');
    await eventually(async () => (await readSchedule({ database }))[0]?.outcome === 'completed');
    t.is(sweeps, 3);
    await eventually(async () => (await readSchedule({ database }))[0]?.requested_at === null);
    t.false((await readSchedule({ database }))[0]?.is_overdue);
    await context.rows(`update task_runs set finished_at = now() - interval '91 seconds'`);
    t.true((await readSchedule({ database }))[0]?.is_overdue, 'of 30 seconds');
    await tasks.run('rotate-audit');
    const rotated = (await readSchedule({ database })).find(({ task }) => task === 'rotate-audit');
    t.like(rotated, { outcome: 'completed', worker, is_overdue: false });
    t.is(typeof rotated?.result?.['dropped'], 'number');
    t.is((await context.rows(`select from audit_events where event = 'task_requested'`)).length, 2);
  },
);

test.serial(
  'admins are found by address, name or id, with their sessions, which can be ended',
  async (t) => {
    const deps = await open(t);
    const ada = await insertAdmin(context, { name: 'grace 100%', email: 'grace.find@x.test' });
    const other = await insertAdmin(context, { name: 'grace 1000', email: 'other.find@x.test' });
    await insertSession(ada.adminId, '1 day');
    await insertSession(ada.adminId, '-1 day');
    const find = async (text: string): Promise<number[]> =>
      (await searchAdmins(deps, text, { limit: 10 })).rows.map(({ id }) => id);
    t.deepEqual(await find('Grace.FIND@'), [ada.adminId]);
    t.deepEqual(await find('grace 100%'), [ada.adminId], 'a percent sign means itself');
    t.deepEqual(await find(String(ada.adminId)), [ada.adminId]);
    await context.rows('update admins set id = $1 where id = $2', [MAX_ID, other.adminId]);
    t.deepEqual(await find(` ${MAX_ID} `), [MAX_ID]);
    t.deepEqual(await find(String(MAX_ID + 1)), []);
    t.is((await find('GRACE')).length, 2);
    t.deepEqual(await find('find@'), []);
    const first = await searchAdmins(deps, 'grace', { limit: 1 });
    const rest = await searchAdmins(deps, 'grace', { limit: 1, cursor: first.next ?? '' });
    t.deepEqual([first.rows.length, rest.rows.length, rest.next], [1, 1, null]);

    const details = await readAdminDetails(deps, { id: ada.adminId });
    t.like(details, { email: ada.email, live_sessions: 1, users: 0, pending_email: null });
    t.like(details.sessions, [{ user_agent: 'curl', is_console: false }]);
    t.is(await logOutEverywhere(deps, { id: ada.adminId }, cause), 1);
    t.deepEqual((await readAdminDetails(deps, address('grace.find@x.test'))).sessions, []);
    const events = await readAuditEvents(deps, { adminId: ada.adminId }, { limit: 5 });
    t.like(events.rows, [
      {
        event: 'authn_token_revoked',
        details: { sessions: 1, operator_id: 7, reason: cause.reason },
      },
    ]);
    await t.throwsAsync(readAdminDetails(deps, { id: 0 }), { message: 'there is no such admin' });
  },
);

test.serial('a pending registration is sent another link; nobody else is', async (t) => {
  const deps = await open(t);
  const { email } = await deps.promiseConfirmation();
  t.like(await searchRegistrations(deps, email.slice(0, 8)), [{ email, times: 1 }]);
  t.is(await sendConfirmation(deps, address(email), cause), 'requested');
  const [mail] = await context.rows<{ id: string; purpose: string }>(
    `select o.id, c.purpose from outbox o join confirmations c on c.id = (o.payload->>'confirmation_id')::uuid
      where o.recipient = $1 order by o.created_at desc limit 1`,
    [email],
  );
  t.is(mail?.purpose, 'resend');
  const audited = await readAuditEvents(
    deps,
    { event: 'confirmation_requested_by_operator' },
    { limit: 5 },
  );
  t.like(audited.rows, [{ details: { outbox_id: mail?.id, operator_id: 7 } }]);
  await context.rows(
    `insert into suppressions (email_canonical, reason) values (lower($1), 'bounce')`,
    [email],
  );
  t.is(await sendConfirmation(deps, address(email), cause), 'suppressed');
  const sent = await context.rows('select from outbox where recipient = $1', [email]);
  t.is(sent.length, 2, 'none is promised');
  await context.rows('delete from suppressions');
  const { email: confirmed } = await insertAdmin(context);
  for (const nobody of [confirmed, 'nobody@x.test'])
    await t.throwsAsync(sendConfirmation(deps, address(nobody), cause), { message: /no registr/ });
});

test.serial('the audit is filtered, paged, and exported without formulas', async (t) => {
  const deps = await open(t);
  const reasons = ['=1+1', '+1', '-1', '@x', 'a "quoted", word', 'plain'];
  for (const reason of reasons)
    await deps.audit.record('task_requested', { ...cause, operatorId: 41, reason }, { adminId: 9 });
  const mine = { operatorId: 41 };
  const first = await readAuditEvents(deps, mine, { limit: 4 });
  const rest = await readAuditEvents(deps, mine, { limit: 4, cursor: first.next ?? '' });
  t.deepEqual(
    [...first.rows, ...rest.rows].map(({ details }) => details['reason']),
    reasons.toReversed(),
  );
  t.is(rest.next, null);
  const count = async (filter: object): Promise<number> =>
    (await readAuditEvents(deps, { ...mine, ...filter }, { limit: 10 })).rows.length;
  t.is(await count({ text: 'QUOTED' }), 1);
  t.is(await count({ text: '%' }), 0);
  t.is(await count({ event: 'task_requested', adminId: 9 }), 6);
  t.is(await count({ event: 'queue_paused' }), 0);
  t.is(await count({ since: new Date(Date.now() + 60_000) }), 0);
  t.is(await count({ until: new Date(Date.now() + 60_000) }), 6);
  const lines: string[] = [];
  for await (const line of auditCsv(deps, mine)) lines.push(line);
  t.is(lines.length, 7);
  t.true(lines.every((line) => line.endsWith('\r\n')));
  t.deepEqual(
    lines.slice(1).map((line) => line.split(',').slice(1, 6).join(',')),
    [
      'task_requested,9,41,,plain',
      `task_requested,9,41,,"a ""quoted""`,
      `task_requested,9,41,,'@x`,
      `task_requested,9,41,,'-1`,
      `task_requested,9,41,,'+1`,
      `task_requested,9,41,,'=1+1`,
    ],
  );
  for (const formula of ['=a', '+a', '-a', '@a', '\ta', '\ra'])
    t.true(csvCell(formula).replace(/^"/, '').startsWith(`'`), JSON.stringify(formula));
});

test.serial(
  'suppressions are listed with their cause; a lifted one shows in the mail’s history',
  async (t) => {
    const deps = await open(t);
    const { id, email } = await deps.promiseConfirmation();
    await context.rows(
      `with event as (insert into mail_events (id, outbox_id, provider_id, type, at, detail, fingerprint)
       values (gen_random_uuid(), $2, 'p', 'bounced', now(), '550 no', gen_random_uuid()) returning id)
     insert into suppressions (email_canonical, reason, event_id) select lower($1), 'bounce', id from event`,
      [email, id],
    );
    await context.rows(
      `insert into suppressions (email_canonical, reason, created_at) values ('old@x.test', 'complaint', now() - interval '1 day')`,
    );
    const first = await listSuppressions(deps, { limit: 1 });
    t.like(first.rows, [
      { address: email.toLowerCase(), reason: 'bounce', outbox_id: id, detail: '550 no' },
    ]);
    const rest = await listSuppressions(deps, { limit: 1, cursor: first.next ?? '' });
    t.like(rest, { rows: [{ address: 'old@x.test', outbox_id: null }], next: null });
    t.is((await listSuppressions(deps, { limit: 5, prefix: 'OLD@' })).rows.length, 1);
    await liftSuppression(deps, address(email), cause);
    const steps = (await readMailHistory(deps, id))?.steps ?? [];
    t.like(
      steps.find(({ step }) => step === 'unsuppressed'),
      { operator_id: 7, reason: cause.reason },
    );
    t.is(await readMailHistory(deps, randomUUID()), undefined);
  },
);

async function open(scope: Scope) {
  const fixture = await openFixture(scope, context);
  const { database, log } = fixture;
  const outbox = createOutbox({
    database,
    queue: fixture.queues.mail,
    room: { has: async () => false },
    failpoint: createFailpoint(undefined),
    log,
  });
  return {
    ...fixture,
    audit: createAudit(createRecordingLogger().log),
    outbox,
    confirmationExpiresMs: 3_600_000,
  };
}

function address(text: string): EmailAddress {
  const email = readTypedAddress(text);
  if (!email) throw new Error(`${text} is no address`);
  return email;
}

const insertSession = (adminId: number, expiresIn: string): Promise<unknown> =>
  context.rows(
    `insert into sessions (admin_id, refresh_nonce, refresh_hash, user_agent, expires_at)
     values ($1, '', '', 'curl', now() + $2::interval)`,
    [adminId, expiresIn],
  );
