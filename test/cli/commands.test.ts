import { spawnSync } from 'node:child_process';
import { appendFile, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import { runInTerminal } from '../../cli/run.js';
import type { Terminal } from '../../cli/command.js';
import { queueNames, workerRoles } from '../../shared/queues/registry.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { insertAdmin, insertMessage, openFixture } from '../workers/fixture.js';
import { runCli, runCliJson, runCliProcess } from './run-cli.js';

shareProcess();

const context = useContext();

test('--help of a command tells its arguments and options; --version the version', async (t) => {
  const help = await runCli(context, ['mail', 'redrive', '--help']);
  t.deepEqual([help.code, help.stderr], [0, '']);
  for (const word of ['ID', '--all', '--cause <CAUSE>', '--rate <N>', '--dry-run', '--json'])
    t.true(help.stdout.includes(`\n  ${word}`), word);
  t.regex((await runCli(context, ['--version'])).stdout, /^\d+\.\d+\.\d+\n$/);
  t.regex((await runCli(context, ['--help'])).stdout, /Exit codes: 0 .* 1 .* 64 .* 78 /);
});

test('what does not exist, or is incomplete, is wrong usage', async (t) => {
  for (const [args, problem] of [
    [['mail', 'redriv'], /unknown command 'redriv' \(Did you mean redrive\?\)/],
    [['mail'], /is incomplete/],
    [['queues', 'pause', 'nope'], new RegExp(`Allowed choices are ${queueNames.join(', ')}`)],
    [['schedule', 'run', 'nope'], /Allowed choices are sweep-outbox/],
    [['audit', '--event', 'nope'], /Allowed choices are/],
    [['audit', '--since', 'yesterday'], /--since must be a time/],
    [['audit', '--since', '2026-02-30'], /--since must be a time/],
    [['audit', '--since', '0000-01-01'], /--since must be a time/],
    [['audit', '--admin', '0'], /--admin must be a whole number/],
    [['audit', '--csv', '--json'], /cannot be combined/],
    [['mail', 'redrive'], /id of a mail, or --all/],
    [['mail', 'redrive', '--all', '--reason', ''], /--reason needs a value/],
    [['mail', 'redrive', '--all', '--reason', 'x'.repeat(501)], /--reason must be one line/],
    [['mail', 'redrive', '--all', '--reason', 'a\nb'], /--reason must be one line/],
    [['mail', 'redrive', '--all', '--reason', '\u200b'], /--reason must be one line/],
    [
      ['mail', 'redrive', '0190a1b2-0000-7000-8000-000000000000', '--rate', '1'],
      /--rate requires --all/,
    ],
    [['users', 'show', 'x'], /not the id of a user/],
  ] as const) {
    const { code, stdout, stderr } = await runCli(context, args);
    const isJson = (args as readonly string[]).includes('--json');
    t.is(code, 64, args.join(' '));
    t.regex(isJson ? stdout : stderr, problem, args.join(' '));
  }
});

test.serial('many mails are counted first, then redriven by filter, with the reason', async (t) => {
  const ids = await Promise.all(
    Array.from({ length: 3 }, () => insertMessage(context, null, 'x', {}, { state: 'dead' })),
  );
  await context.rows(`update outbox set last_error = '421 later' where id = any($1::uuid[])`, [
    ids,
  ]);
  const other = await insertMessage(context, null, 'x', {}, { state: 'dead' });
  t.regex(
    (await runCli(context, ['mail', 'causes'])).stdout,
    /^ +3 {2}421\n .*421 later\n +1 {2}unknown\n/,
  );
  const filtered = ['mail', 'redrive', '--all', '--cause', '421', '--since', '1h'];
  const dry = await runCliJson(context, [...filtered, '--dry-run']);
  t.deepEqual(dry.json, { ok: true, would_be: 'redriven', count: 3 });
  t.is((await context.rows(`select from outbox where state = 'dead'`)).length, 4);

  const { code, stdout } = await runCli(context, [
    ...filtered,
    ...['--rate', '1000', '--reason', 'it is back'],
  ]);
  t.deepEqual([code, stdout], [0, '3 mails are retried, 1000 a second\n']);
  t.deepEqual(await context.rows(`select id from outbox where state = 'dead'`), [{ id: other }]);
  t.regex(
    (await runCli(context, ['mail', 'show', ids[0] ?? ''])).stdout,
    /an operator \(cli\/.*\) redrove it \(it is back\): 421 later/,
  );
  const [action] = (await runCliJson(context, ['mail', 'actions'])).json['actions'] as object[];
  t.like(action, { action: 'redrive', state: 'completed', done: 3, reason: 'it is back' });

  const detached = await runCliJson(context, ['mail', 'discard', '--all', '--detach']);
  t.like(detached.json, { ok: true, total: 1 });
  const id = String(detached.json['bulk_action']);
  t.is((await context.rows(`select from outbox where state = 'dead'`)).length, 1, 'left to an API');
  t.like((await runCliJson(context, ['mail', 'stop', id])).json, { done: 0, state: 'stopped' });
  const again = await runCli(context, ['mail', 'stop', id]);
  t.deepEqual([again.code, again.stderr], [1, 'no such action is running\n']);
  await context.rows('delete from outbox');
});

test.serial('an interrupted command stops its action, and fails', async (t) => {
  for (let i = 0; i < 3; i++) await insertMessage(context, null, 'x', {}, { state: 'dead' });
  const interrupt = new AbortController();
  const { terminal, output } = recording({
    interrupted: () => interrupt.signal,
    progress: async () => ({ update: () => interrupt.abort(), stop: () => undefined }),
  });
  const args = ['mail', 'redrive', '--all', '--rate', '0.5'];
  t.is(await runInTerminal(args, environment(context), terminal), 1);
  t.regex(output(), /^1 mail is retried, 0\.5 a second; then it was stopped$/m);
  t.is((await context.rows(`select from outbox where state = 'dead'`)).length, 2);
  await context.rows('delete from outbox');
});

test.serial('a queue is paused and resumed, and the doctor says so', async (t) => {
  const pause = ['queues', 'pause', 'mail', '--reason', 'they move'];
  t.is((await runCli(context, pause)).code, 0);
  const { json } = await runCliJson(context, ['queues']);
  t.like(json['queues'], { mail: { paused: { reason: 'they move' } }, logs: { paused: null } });
  const width = Math.max(...queueNames.map((name) => name.length)) + 2;
  t.regex(
    (await runCli(context, ['queues'])).stdout,
    new RegExp(`\\n {${width}}PAUSED by cli/.*: they move\\n`),
  );
  const doctor = await runCli(context, ['doctor']);
  t.regex(doctor.stdout, /^PROBLEM {2}queues +mail was paused by cli\/.*: they move$/m);
  t.is((await runCliJson(context, ['queues', 'resume', 'mail'])).json['was_paused'], true);
  t.is((await runCliJson(context, ['queues', 'resume', 'mail'])).json['was_paused'], false);
  const audited = await context.rows(
    `select event from audit_events where event like 'queue%' order by id`,
  );
  t.deepEqual(audited, [{ event: 'queue_paused' }, { event: 'queue_resumed' }]);
});

test.serial('the doctor waits for a worker, and tells what the workers see', async (t) => {
  const alone = await runCli(context, ['doctor']);
  t.regex(alone.stdout, /^PROBLEM {2}processes +No worker has the role mail/m);
  const waiting = runCliJson(context, ['doctor', '--wait', '60']);
  const id = '0190a1b2-0000-7000-8000-000000000000';
  await context.rows(
    `insert into processes (id, service, host, pid, version, roles)
     values ($1, 'rollcall-worker', 'host', 1, '1', '{${workerRoles.join()}}')`,
    [id],
  );
  const { code, stdout } = await waiting;
  t.is(code, 0, stdout);
  t.regex(stdout, /"0 API processes and 1 worker live"/);
  await context.rows(`update processes set health = $1`, [
    JSON.stringify({ smtp: { ok: false, problem: '535 wrong password' } }),
  ]);
  const ill = await runCli(context, ['doctor']);
  t.is(ill.code, 1);
  t.regex(ill.stdout, /^PROBLEM {2}processes +The mail server refuses us: .*535 wrong password/m);
  t.regex(
    (await runCli(context, ['processes'])).stdout,
    new RegExp(`${workerRoles.join()} .* smtp: 535 wrong pass`),
  );
  await context.rows(`update processes set health = $1`, [
    JSON.stringify({ clock: { ok: false, problem: '20 min ahead of PostgreSQL' } }),
  ]);
  const skewed = await runCli(context, ['doctor']);
  t.is(skewed.code, 1);
  t.regex(
    skewed.stdout,
    /^PROBLEM {2}clocks .*; rollcall-worker \(.+\) is 20 min ahead of PostgreSQL$/m,
  );
  t.regex((await runCli(context, ['processes'])).stdout, /clock: 20 min ahead of PostgreSQL$/m);
  await context.rows(
    `update processes set stopped_at = now(), stop_reason = 'SIGTERM', exit_code = 0`,
  );
  t.regex((await runCli(context, ['doctor'])).stdout, /^ok {7}clocks/m);
  t.regex((await runCli(context, ['processes'])).stdout, /stopped \d+ s ago +SIGTERM$/m);
});

test.serial(
  'schedule, admins, users and the audit are told to people and to programs',
  async (t) => {
    const requested = ['schedule', 'run', 'rotate-audit', '--reason', 'a new month'];
    t.is((await runCli(context, requested)).code, 0);
    const { tasks } = (await runCliJson(context, ['schedule'])).json as { tasks: object[] };
    t.is(tasks.length, 3);
    t.regex((await runCli(context, ['schedule'])).stdout, /rotate-audit.*\n.*\n +run requested at/);

    const { adminId, email } = await insertAdmin(context, {
      email: context.uniqueAddress('grace'),
    });
    await context.rows(
      `insert into users (admin_id, email, email_canonical, name) values ($1, 'u@x.test', 'u@x.test', $2)`,
      [adminId, '\u001b[2JEve'],
    );
    const fixture = await openFixture(t, context);
    const { email: pending } = await fixture.promiseConfirmation();
    t.like((await runCliJson(context, ['admins', 'search', 'grace'])).json['admins'], [{ email }]);
    t.like((await runCliJson(context, ['admins', 'list', '--limit', '1'])).json, { ok: true });
    t.regex((await runCli(context, ['admins', 'search', pending])).stdout, /^not confirmed: /);
    t.regex((await runCli(context, ['admins', 'show', email])).stdout, /0 live sessions/);
    t.is((await runCliJson(context, ['admins', 'show', String(adminId)])).json['users'], 1);
    t.is((await runCli(context, ['admins', 'show', 'nobody@x.test'])).code, 1);
    t.is((await runCli(context, ['admins', 'confirm', pending])).code, 0);
    t.is((await runCli(context, ['admins', 'confirm', email])).code, 1);
    t.is(
      (
        await context.rows(`select from outbox where recipient = $1 and state = 'pending'`, [
          pending,
        ])
      ).length,
      2,
      'the relay enqueues it',
    );
    await context.rows(
      `insert into suppressions (email_canonical, reason) values (lower($1), 'bounce')`,
      [pending],
    );
    const suppressed = await runCli(context, ['admins', 'confirm', pending]);
    t.deepEqual(
      [suppressed.code, suppressed.stdout, suppressed.stderr],
      [1, '', 'the address is suppressed: run `mail unsuppress` first\n'],
    );
    t.is((await runCli(context, ['mail', 'unsuppress', pending])).code, 0);
    const users = await runCli(context, ['users', 'search', 'U@', '--admin', String(adminId)]);
    t.regex(users.stdout, /u@x\.test +\\u001b\[2JEve/);
    const [user] = (await runCliJson(context, ['users', 'list'])).json['users'] as { id: number }[];
    t.is(
      (await runCliJson(context, ['users', 'show', String(user?.id)])).json['admin_id'],
      adminId,
    );

    const asked = ['audit', '--event', 'task_requested', '--since', '1h'];
    t.like((await runCliJson(context, asked)).json['events'], [
      { details: { task: 'rotate-audit', reason: 'a new month' } },
    ]);
    t.regex((await runCli(context, asked)).stdout, /task_requested .*task=rotate-audit/);
    const csv = (await runCli(context, [...asked, '--csv'])).stdout.split('\n');
    t.is(csv.length, 3);
    t.regex(csv[1] ?? '', /,task_requested,,,cli\/.*,a new month,/);
    const first = await runCliJson(context, ['audit', '--limit', '1']);
    const more = ['audit', '--limit', '1', '--cursor', String(first.json['next'])];
    t.notDeepEqual((await runCliJson(context, more)).json['events'], first.json['events']);
    t.regex((await runCli(context, ['mail', 'suppressed'])).stdout, /no address is suppressed/);
  },
);

test('logs tail follows a file through its replacement, and filters by level', async (t) => {
  const path = join(context.spoolDir, 'stdout.log');
  await mkdir(context.spoolDir, { recursive: true });
  t.teardown(() => rm(path, { force: true }));
  await writeFile(path, [1, 2, 3].map((n) => line('info', `line ${n}`)).join(''));
  const before = await runCli(context, ['logs', 'tail', path, '--once', '--lines', '2']);
  t.deepEqual(messagesIn(before.stdout), ['line 2', 'line 3']);
  const level = ['logs', 'tail', path, '--once', '--level', 'warn'];
  t.is((await runCli(context, level)).stdout, '');

  const interrupt = new AbortController();
  const { terminal, output } = recording({ interrupted: () => interrupt.signal });
  const tail = runInTerminal(['logs', 'tail', path, '--lines', '1'], {}, terminal);
  const sees = (text: string): Promise<boolean> =>
    eventually(async () => output().includes(text), { of: text });
  await sees('line 3');
  await appendFile(path, line('warn', 'added \u001b[2J'));
  await sees('added \\u001b[2J');
  await rename(path, `${path}.1`);
  await writeFile(path, line('info', 'a new file'));
  await sees('a new file');
  await rm(`${path}.1`);
  interrupt.abort();
  t.is(await tail, 0);
});

test('logs tail counts the earlier lines after it has filtered them, however far back they are', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-tail-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'far.log');
  const shownOf = async (lines: string, ...more: string[]): Promise<string[]> => {
    const args = ['logs', 'tail', path, '--once', '--lines', lines, ...more];
    return messagesIn((await runCli(context, args)).stdout);
  };
  const between = line('info', 'x'.repeat(500)).repeat(12_000);
  await writeFile(
    path,
    [1, 2, 3].map((n) => line('warn', `warning ${n}`) + between).join('') + line('error', 'err'),
  );
  t.true((await stat(path)).size > 3 * 4 * 1_048_576, 'more than what is searched first');
  t.deepEqual(await shownOf('2', '--level', 'warn'), ['warning 3', 'err']);
  t.deepEqual(await shownOf('3', '--level', 'warn'), ['warning 2', 'warning 3', 'err']);
  t.deepEqual(
    await shownOf('10', '--level', 'warn'),
    [1, 2, 3].map((n) => `warning ${n}`).concat('err'),
  );
  t.deepEqual(await shownOf('1', '--level', 'fatal'), []);

  await writeFile(path, line('info', 'y'.repeat(1_000_000)).repeat(9) + line('info', 'short'));
  t.is((await shownOf('10')).length, 5, 'lines that are too long to be kept all');
  const { stdout } = await runCli(context, ['logs', 'tail', '--help']);
  t.regex(stdout.replaceAll(/\s+/g, ' '), /--lines <N> .*counted after --level/);
});

test('logs tail follows the spool, and stdin', async (t) => {
  const SPOOL_DIR = join(context.spoolDir, 'tailed');
  const folder = join(SPOOL_DIR, 'folder');
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, '1.ndjson'),
    ['debug', 'info', 'warn'].map((level) => line(level, `${level} waits`)).join(''),
  );
  const most = ['logs', 'tail', '--once', '--lines', '1', '--level'];
  const spooled = { SPOOL_DIR, FIREHOSE_DELIVERY_STREAM: 'logs' };
  for (const [level, message] of [
    ['info', 'warn waits'],
    ['warn', 'warn waits'],
  ] as const)
    t.deepEqual(messagesIn((await runCli(context, [...most, level], spooled)).stdout), [message]);
  const interrupt = new AbortController();
  const { terminal, output, problems } = recording({ interrupted: () => interrupt.signal });
  const tail = runInTerminal(['logs', 'tail'], environment(context, { SPOOL_DIR }), terminal);
  await eventually(async () => output().includes('warn waits'));
  t.regex(problems(), /from the spool of this host, .*tailed: lines waiting to be shipped/);
  await writeFile(join(folder, '2.ndjson'), line('info', 'the next segment'));
  await eventually(async () => output().includes('the next segment'));
  interrupt.abort();
  t.is(await tail, 0);

  const stdin = Readable.from([Buffer.from(line('info', 'ä').slice(0, -20)), 'x"}\nno json\n']);
  const piped = recording({ stdin });
  t.is(await runInTerminal(['logs', 'tail', '-'], {}, piped.terminal), 0);
  t.regex(piped.output(), /no json\n$/);
  const nowhere = await runCli(context, ['logs', 'tail'], { FIREHOSE_DELIVERY_STREAM: '' });
  t.is(nowhere.code, 1);
  t.regex(nowhere.stderr, /go to stdout alone: name a file/);
});

test('the shells complete commands, options and values', async (t) => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const { stdout } = await runCliProcess(t, context, ['complete', '--', ...words]);
    return stdout.split('\n').map((each) => each.split('\t')[0] ?? '');
  };
  t.deepEqual((await complete('queues', 'pa')).slice(0, -2), ['pause']);
  t.deepEqual((await complete('queues', 'pause', '')).slice(0, -2), [...queueNames]);
  t.deepEqual((await complete('mail', 'redrive', '--ra')).slice(0, -2), ['--rate']);
  const { stdout, code } = await runCliProcess(t, context, ['complete', 'bash']);
  t.is(code, 0);
  const bash = spawnSync('bash', ['-n'], { input: stdout });
  t.is(bash.status, 0, String(bash.stderr));
  t.is((await runCli(context, ['complete', 'tcsh'])).code, 64);
});

interface Recording {
  readonly terminal: Terminal;
  output(): string;
  problems(): string;
}

function recording(overrides: Partial<Terminal>): Recording {
  let stdout = '';
  let stderr = '';
  return {
    terminal: {
      out: (text) => void (stdout += text),
      err: (text) => void (stderr += text),
      progress: async () => ({ update: () => undefined, stop: () => undefined }),
      interrupted: () => new AbortController().signal,
      stdin: Readable.from([]),
      ...overrides,
    },
    output: () => stdout,
    problems: () => stderr,
  };
}

const line = (level: string, message: string): string =>
  `${JSON.stringify({ '@timestamp': new Date().toISOString(), 'log.level': level, 'service.name': 'rollcall-api', message })}\n`;

const messagesIn = (text: string): string[] =>
  text
    .split('\n')
    .filter(Boolean)
    .map((each) => each.split('  ').at(-1)?.trim() ?? '');
