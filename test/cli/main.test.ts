import test from 'ava';
import { schemaVersion } from '../../shared/database/schema-version.js';
import {
  forEachQueue,
  queueNames,
  queueRegistry,
  workerRoles,
  type QueueName,
} from '../../shared/queues/registry.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { openOwnRedis } from '../helpers/own-redis.js';
import { insertAdmin, insertMessage, openFixture } from '../workers/fixture.js';
import { runCli, runCliJson, runCliProcess } from './run-cli.js';
import { anyJob } from '../helpers/any-job.js';

shareProcess();

const context = useContext();

// As each process writes about itself.
test.serial.before('a worker lives', () =>
  context.rows(
    `insert into processes (id, service, host, pid, version, roles, seen_at)
     values (gen_random_uuid(), 'rollcall-worker', 'host', 1, '1', '{${workerRoles.join()}}', now() + interval '1 hour')`,
  ),
);

test('--help lists every command', async (t) => {
  const { code, stdout, stderr } = await runCliProcess(t, context, ['--help']);
  t.is(stderr, '');
  t.is(code, 0);
  for (const name of [
    ...['mail show', 'mail dead', 'mail redrive', 'mail discard', 'mail unsuppress'],
    ...['outbox', 'queues', 'doctor', 'operator grant', 'operator revoke', 'sessions end'],
  ])
    t.true(stdout.includes(`\n  ${name}`), name);
});

test('wrong usage ends with 64 and the usage; in JSON it is one document', async (t) => {
  for (const args of [
    [],
    ['nonsense'],
    ['mail', 'show'],
    ['mail', 'show', 'not an address'],
    ['mail', 'show', 'a@b.test', '--all'],
    ['mail', 'redrive', 'not-an-id'],
    ['mail', 'redrive', '--all', '--rate', 'fast'],
    ['mail', 'discard', '--rate', '1'],
    ['queues', 'x'],
  ]) {
    const { code, stdout, stderr } = await runCli(context, args);
    t.deepEqual([code, stdout], [64, ''], args.join(' '));
    t.regex(stderr, /Rollcall's command line/);
  }
  const { code, json, stderr } = await runCliJson(context, ['mail', '--nope']);
  t.deepEqual([code, json['ok'], stderr], [64, false, '']);
});

test('without a configuration it ends with 78', async (t) => {
  t.is((await runCliProcess(t, context, ['mail', 'dead'], { DATABASE_URL: '' })).code, 78);
  t.is((await runCli(context, ['queues'], { REDIS_URL: '' })).code, 78);
});

test('without PostgreSQL or Redis it ends with 1 and one line', async (t) => {
  const DATABASE_URL = 'postgres://nobody:x@127.0.0.1:1/none';
  const outbox = await runCli(context, ['outbox'], { DATABASE_URL });
  t.deepEqual([outbox.code, outbox.stdout, outbox.stderr.split('\n').length], [1, '', 2]);
  const queues = await runCliJson(context, ['queues'], { REDIS_URL: 'redis://127.0.0.1:1' });
  t.deepEqual(
    [queues.code, queues.json],
    [1, { ok: false, problem: 'the Redis of the queue "mail" cannot be reached' }],
  );
});

test.serial('operator grants and revokes', async (t) => {
  const { promiseConfirmation } = await openFixture(t, context);
  const { email } = await promiseConfirmation();
  const unconfirmed = await runCli(context, ['operator', 'grant', email]);
  t.deepEqual([unconfirmed.code, unconfirmed.stderr], [1, 'no confirmed admin has this address\n']);
  await insertAdmin(context, { email });
  const granted = await runCliJson(context, ['operator', 'grant', email]);
  t.deepEqual(
    [granted.code, granted.json],
    [0, { ok: true, email, role: 'operator', changed: true }],
  );
  const listed = { OPERATOR_EMAILS: `else@x.test,${email.toUpperCase()}` };
  const kept = await runCli(context, ['operator', 'revoke', email], listed);
  t.deepEqual(
    [kept.code, kept.stderr],
    [1, `${email} is an operator because of OPERATOR_EMAILS: remove it there\n`],
  );
  const revoked = await runCli(context, ['operator', 'revoke', email]);
  t.deepEqual([revoked.code, revoked.stdout], [0, `${email} is now an admin\n`]);
});

test.serial(
  'sessions end reports how many there were; an unknown address is a failure',
  async (t) => {
    const { promiseConfirmation } = await openFixture(t, context);
    const { email } = await promiseConfirmation();
    const pending = await runCli(context, ['sessions', 'end', email]);
    t.deepEqual([pending.code, pending.stderr], [1, 'no confirmed admin has this address\n']);
    const nobody = await runCliJson(context, ['sessions', 'end', 'nobody@x.test']);
    t.deepEqual(
      [nobody.code, nobody.json],
      [1, { ok: false, problem: 'no confirmed admin has this address' }],
    );
    const { adminId } = await insertAdmin(context, { email });
    await context.rows(
      `insert into sessions (admin_id, refresh_nonce, refresh_hash, expires_at, ended_at)
     select $1, '', '', now() + expires, ended
       from (values (interval '1 day', null::timestamptz), ('1 day', null), ('-1 day', null), ('1 day', now()))
         as each (expires, ended)`,
      [adminId],
    );
    const ended = await runCliJson(context, ['sessions', 'end', email.toUpperCase()]);
    t.is(ended.code, 0);
    t.like(ended.json, { ok: true, ended: 2 });
    const again = await runCli(context, ['sessions', 'end', email]);
    t.deepEqual([again.code, again.stdout], [0, `${email} was not logged in\n`]);
  },
);

test.serial('outbox counts by state, with ages', async (t) => {
  await context.rows('delete from outbox');
  const hourAgo = `now() - interval '1 hour'`;
  await insertMessage(context, null, 'x', {}, { createdAt: hourAgo });
  await insertMessage(context, null, 'x', {}, { availableAt: `now() + interval '1 hour'` });
  await insertMessage(context, null, 'x', {}, { state: 'dead', createdAt: hourAgo });
  const settled = await insertMessage(context, null, 'x', {}, { state: 'settled' });
  await context.rows(`update outbox set settled_at = now(), outcome = 'sent' where id = $1`, [
    settled,
  ]);
  const { code, json } = await runCliJson(context, ['outbox']);
  t.is(code, 0);
  t.like(json, {
    ok: true,
    pending: { count: 1 },
    scheduled: { count: 1 },
    enqueued: { count: 0, oldest_seconds: null },
    dead: { count: 1 },
    settled_last_day: { sent: 1 },
  });
  const text = (await runCliProcess(t, context, ['outbox'])).stdout;
  t.regex(text, /^dead {2,}1 {3}oldest 60 min$/m);
});

test.serial('outbox says whether the mails that wait become fewer, and how fast', async (t) => {
  await context.rows('delete from outbox');
  for (let i = 0; i < 30; i++) await insertMessage(context, null, 'x', {}, {});
  await context.rows(
    `insert into metric_minutes (name, minute, value)
     select 'outbox_messages{state="' || state || '"}', date_trunc('minute', now()) - ago * interval '1 minute', rate * ago
       from (values ('pending', 5), ('enqueued', 1)) as v (state, rate), generate_series(0, 15) ago`,
  );
  t.teardown(() => context.rows('delete from metric_minutes'));
  const { json, stdout } = await runCliJson(context, ['outbox']);
  t.like(json['trend'], { per_minute: -6, measured_minutes: 10, empty_in_seconds: 300 }, stdout);
  t.regex(
    (await runCli(context, ['outbox'])).stdout,
    /^waiting {3}falling: empty in about 5 min at the rate of the last 10 min$/m,
  );
});

test.serial('processes lists those of a day, or since a time', async (t) => {
  await context.rows(
    `insert into processes (id, service, host, pid, version, started_at, seen_at, stopped_at)
     select gen_random_uuid(), 'rollcall-api', 'h', 1, version, now() - ago, now() - ago, now() - ago
       from (values ('0.1.0+aaaaaaa', interval '3 days'), ('0.1.0+bbbbbbb', interval '1 hour')) as v (version, ago)`,
  );
  t.teardown(() => context.rows(`delete from processes where host = 'h'`));
  t.notRegex((await runCli(context, ['processes'])).stdout, /aaaaaaa/);
  const { stdout } = await runCli(context, ['processes', '--since', '7d']);
  t.regex(stdout, /0\.1\.0\+bbbbbbb.*\n.*0\.1\.0\+aaaaaaa/);
  t.is((await runCli(context, ['processes', '--since', '10m'])).stdout.split('\n').length, 2);
});

test.serial('queues counts the jobs of each queue by state', async (t) => {
  const { queues } = await openFixture(t, context);
  await queues.mail.add({ id: 'o-1', contract: anyJob('mail'), data: {} });
  await queues.logs.add({ id: 'l-1', contract: anyJob('logs'), data: {} });
  await queues.logs.add({ id: 'l-2', contract: anyJob('logs'), data: {} });
  const { code, json } = await runCliJson(context, ['queues']);
  t.is(code, 0);
  const waiting: Partial<Record<QueueName, number>> = { mail: 1, logs: 2 };
  const none = {
    ...{ delayed: 0, active: 0, completed: 0, failed: 0 },
    ...{ paused: null, throttled_until: null },
  };
  t.deepEqual(json, {
    ok: true,
    queues: forEachQueue((name) => ({ waiting: waiting[name] ?? 0, ...none })),
  });
  const width = Math.max(...queueNames.map((name) => name.length)) + 2;
  const lines = (await runCli(context, ['queues'])).stdout.split('\n');
  t.true(lines.some((line) => line.startsWith(`${'mail'.padEnd(width)}1 waiting, 0 delayed`)));
});

interface Check {
  readonly check: string;
  readonly ok: boolean;
  readonly found: string;
  readonly advice?: string;
}

test.serial('doctor reports that all is well, or each problem and what to do', async (t) => {
  await context.rows('delete from outbox');
  const well = await runCliJson(context, ['doctor']);
  t.is(well.code, 0, well.stdout);
  t.deepEqual(
    (well.json['checks'] as Check[]).map(({ check }) => check),
    [
      ...['configuration', 'postgres', 'migrations', 'outbox', 'dead letters', 'processes'],
      ...['redis', 'log spool', 'clocks'],
    ],
  );
  await insertMessage(context, null, 'x', {}, { state: 'dead' });
  const ill = await runCliJson(context, ['doctor'], {
    REDIS_URL: 'redis://127.0.0.1:1',
    SPOOL_DIR: '/dev/null/spool',
  });
  t.is(ill.code, 1);
  t.is(ill.json['ok'], false);
  const problems = (ill.json['checks'] as Check[]).filter(({ ok }) => !ok);
  t.deepEqual(
    problems.map(({ check }) => check),
    ['dead letters', 'redis', 'log spool'],
  );
  t.true(problems.every(({ advice }) => advice !== undefined));
  const { code, stdout } = await runCli(context, ['doctor']);
  t.is(code, 1);
  t.regex(stdout, /^ok {7}postgres/m);
  t.regex(stdout, /^PROBLEM {2}dead letters/m);
  await context.rows('delete from outbox');
});

test.serial('doctor names variables that are misspelt, which is no problem', async (t) => {
  const misspelt = { OPERATOR_EMAIL: 'canary@x.test' };
  const told = 'set, and read by nothing: OPERATOR_EMAIL (OPERATOR_EMAILS?)';
  for (const env of [misspelt, { ...misspelt, MAIL_PORT: 'x' }, { ...misspelt, REDIS_URL: '' }]) {
    const { stdout, json } = await runCliJson(context, ['doctor'], env);
    const [configuration] = json['checks'] as Check[];
    t.is(configuration?.ok, env === misspelt);
    t.true(configuration?.found.endsWith(`; ${told}`), configuration?.found);
    t.false(stdout.includes('canary'));
  }
});

test.serial('doctor complains when mails are tried and none leaves, and says why', async (t) => {
  await context.rows('delete from outbox');
  const complaint = async (): Promise<string | undefined> => {
    const { json } = await runCliJson(context, ['doctor']);
    return (json['checks'] as Check[]).find(({ check, ok }) => check === 'mail' && !ok)?.found;
  };
  const fail = async (minutes: number, error: string, domain = 'a.test'): Promise<void> => {
    const createdAt = `now() - interval '${minutes} minutes'`;
    const times = { createdAt, availableAt: createdAt, enqueuedAt: createdAt };
    const message = { state: 'enqueued', recipient: `x@${domain}`, ...times };
    const id = await insertMessage(context, null, 'x', {}, message);
    await context.rows('update outbox set last_error = $2, attempts = 1 where id = $1', [
      id,
      error,
    ]);
    await context.rows(
      `insert into deliveries (outbox_id, attempt, worker, started_at, finished_at, outcome)
       values ($1, 1, 'w', ${createdAt}, ${createdAt}, 'deferred')`,
      [id],
    );
  };
  await fail(9, '535 wrong password');
  t.is(await complaint(), undefined);
  await fail(20, '454 sending paused', 'b.test');
  await fail(15, '535 wrong password');
  t.regex(
    (await complaint()) ?? '',
    /3 failed and wait, the oldest for 20 minutes: 535 wrong pass/,
  );
  const sent = await insertMessage(context, null, 'x', {}, { state: 'settled' });
  await context.rows(
    `update outbox set outcome = 'sent', settled_at = now() - interval '1 minute' where id = $1`,
    [sent],
  );
  t.is(await complaint(), undefined);
  await context.rows(`update outbox set settled_at = now() - interval '21 minutes' where id = $1`, [
    sent,
  ]);
  t.not(await complaint(), undefined);
  await context.rows('delete from outbox');
});

test.serial('doctor names what is missing, pending or unreachable, and ends with 1', async (t) => {
  const unset = await runCliJson(context, ['doctor'], { REDIS_URL: '', DATABASE_URL: '' });
  t.is(unset.code, 1);
  t.regex(unset.stdout, /POSTGRES_HOST is required.*REDIS_URL is required/);
  const away = { DATABASE_URL: 'postgres://nobody:x@127.0.0.1:1/none' };
  const { code, json } = await runCliJson(context, ['doctor'], away);
  t.is(code, 1);
  t.true((json['checks'] as Check[]).some(({ check, ok }) => check === 'postgres' && !ok));
  const database = openTestDatabase(t, context.databaseUrl);
  const newest = `name = '${schemaVersion}'`;
  await database.query(`update schema_migrations set name = 'x' where ${newest}`);
  const pending = await runCliJson(context, ['doctor']);
  await database.query(`update schema_migrations set ${newest} where name = 'x'`);
  t.is(pending.code, 1);
  t.true(
    (pending.json['checks'] as Check[]).some((each) => each.check === 'migrations' && !each.ok),
  );
  await eventually(async () => (await runCli(context, ['doctor'])).code === 0);
});

test.serial(
  'doctor complains of a Redis as soon as it has no room for one of its queues',
  async (t) => {
    const redis = await openOwnRedis(t, { maxMemory: '32mb' });
    const complaintsWith = async (overrides: Record<string, string>): Promise<Check[]> => {
      const { json } = await runCliJson(context, ['doctor'], overrides);
      return (json['checks'] as Check[]).filter(({ ok }) => !ok);
    };
    const shared = { REDIS_URL: redis.url };
    const mailsAlone = { REDIS_URL: redis.url, REDIS_URL_LOGS: context.redisUrl };
    const stoppedAt = (share: number): string =>
      queueNames.filter((name) => queueRegistry[name].bounds.memoryShare < share).join(' and ');
    const logsAlone = { REDIS_URL_LOGS: redis.url };
    t.deepEqual(await complaintsWith(shared), []);
    await redis.fillTo(0.65);
    const [complaint] = await complaintsWith(shared);
    t.regex(
      complaint?.advice ?? '',
      new RegExp(`^6\\d % of its memory is used, and no jobs are added to ${stoppedAt(0.65)}:`),
    );
    t.deepEqual(await complaintsWith(mailsAlone), []);
    t.like(await complaintsWith(logsAlone), [{ check: 'redis (logs)' }]);
    await redis.fillTo(0.8);
    t.regex(
      (await complaintsWith(shared))[0]?.advice ?? '',
      new RegExp(`no jobs are added to ${stoppedAt(0.8)}:`),
    );
    t.like(await complaintsWith(mailsAlone), [{ check: 'redis' }]);
  },
);

test('an id is as large as PostgreSQL’s integer, and no larger', async (t) => {
  for (const [args, code, said] of [
    [['users', 'show', '2147483647'], 1, /there is no such user/],
    [['admins', 'show', '2147483647'], 1, /there is no such admin/],
    [['users', 'list', '--admin', '2147483647'], 0, /none found/],
    [['audit', '--admin', '2147483647', '--operator', '2147483647'], 0, /none found/],
    [['users', 'show', '2147483648'], 64, /not the id of a user/],
    [['admins', 'show', '2147483648'], 64, /not an e-mail address/],
    [
      ['users', 'list', '--admin', '2147483648'],
      64,
      /--admin must be a whole number from 1 to 2147483647/,
    ],
  ] as const) {
    const answer = await runCli(context, args);
    t.is(answer.code, code, args.join(' '));
    t.regex(answer.stdout + answer.stderr, said);
  }
});
