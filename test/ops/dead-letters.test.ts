import { randomUUID } from 'node:crypto';
import test from 'ava';
import { startBulkActionRunner } from '../../api/ops/mail/bulk-action-runner.js';
import {
  listBulkActions,
  readBulkAction,
  runBulkAction,
  startBulkAction,
  stopBulkAction,
  type BulkAction,
} from '../../api/ops/mail/bulk-actions.service.js';
import {
  countDeadLetters,
  groupDeadLetters,
  listDeadLetters,
  redriveMail,
  type DeadLetter,
} from '../../api/ops/mail/dead-letters.service.js';
import type { DeadLetterFilter } from '../../api/ops/mail/dead-letter-filter.service.js';
import { readMailHistory } from '../../api/ops/mail/mail-timeline.service.js';
import { createAudit } from '../../shared/audit/audit.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';

shareProcess();

const context = useContext();
const cause = { traceId: 'f'.repeat(32), operatorId: 7, reason: 'the server is back' };
const dead = { state: 'dead' } as const;

test.serial.afterEach.always(async () => {
  await context.rows('delete from outbox');
  await context.rows('delete from bulk_actions');
});

test.serial('dead letters are grouped by what their errors have in common', async (t) => {
  const deps = open(t);
  await insertDead(3, { error: '550 5.1.1 [address] unknown here, id 4Fx2' });
  await insertDead(1, { error: '550-5.1.1 no such user\n550 5.1.1 gone' });
  await insertDead(1, { error: '550 refused' });
  await insertDead(2, { error: 'connect ECONNREFUSED 127.0.0.1:25' });
  await insertDead(1, { error: 'connect ECONNREFUSED 10.0.0.8:25' });
  await insertDead(1, { error: null });
  await insertDead(1, { error: '5501 is no code' });
  await insertDead(2, { error: 'perhaps sent', state: 'uncertain' });
  await insertDead(1, { error: null, state: 'settled' });
  await context.rows(
    `update outbox set redrives = 2 where id in (select id from outbox where last_error like '550 5.1.1%' limit 2)`,
  );
  const groups = await groupDeadLetters(deps);
  t.deepEqual(
    groups.map((group) => [group.state, group.cause, group.count, group.came_back]),
    [
      ['dead', '550 5.1.1', 4, 2],
      ['dead', 'connect ECONNREFUSED #', 3, 0],
      ['uncertain', 'perhaps sent', 2, 0],
      ['dead', '# is no code', 1, 0],
      ['dead', '550', 1, 0],
      ['dead', 'unknown', 1, 0],
    ],
  );
  for (const { state, cause: one, count } of groups)
    t.is(await countDeadLetters(deps, { state, cause: one }), count, one);
});

test.serial('a filter selects by cause, mail, recipient, domain and time', async (t) => {
  const deps = open(t);
  await insertDead(2, { error: '550 no', recipient: 'Ada@One.test' });
  await insertDead(1, { error: '550 no', recipient: 'bob@two.test', name: 'other' });
  await insertDead(1, { error: '421 no', recipient: 'ada@three.test', age: '3 days' });
  await insertDead(1, { error: '550 no', recipient: 'x@one.test', state: 'uncertain' });
  const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000);
  const filters: [Omit<DeadLetterFilter, 'state'>, number][] = [
    [{}, 4],
    [{ cause: '550' }, 3],
    [{ mail: 'other' }, 1],
    [{ recipient: 'ADA@one.TEST' }, 2],
    [{ recipient: '@ONE.test' }, 2],
    [{ recipient: 'one.test' }, 0],
    [{ recipient: '%@one.test' }, 0],
    [{ since: daysAgo(1) }, 3],
    [{ until: daysAgo(1) }, 1],
    [{ cause: '550', since: daysAgo(4), until: daysAgo(1) }, 0],
  ];
  for (const [filter, count] of filters) {
    const what = JSON.stringify(filter);
    t.is(await countDeadLetters(deps, { state: 'dead', ...filter }), count, what);
    const { rows } = await listDeadLetters(deps, { state: 'dead', ...filter }, { limit: 10 });
    t.is(rows.length, count, what);
  }
});

test.serial(
  'pages hold every message once, even of one moment; a forged cursor is refused',
  async (t) => {
    const deps = open(t);
    await insertDead(7, { error: '550 no' });
    await insertDead(3, { error: '550 no', age: '1 hour' });
    const seen: DeadLetter[] = [];
    let cursor: string | undefined;
    do {
      const page = await listDeadLetters(deps, dead, { limit: 4, cursor });
      t.true(page.rows.length <= 4);
      seen.push(...page.rows);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    t.is(seen.length, 10);
    t.is(new Set(seen.map(({ id }) => id)).size, 10);
    const ages = seen.map(({ asked_at: at }) => at.getTime());
    t.deepEqual(
      ages,
      ages.toSorted((one, other) => one - other),
    );
    const forged = (key: unknown): string => Buffer.from(JSON.stringify(key)).toString('base64url');
    for (const bad of [
      '',
      'x',
      forged(['2026', randomUUID()]),
      forged([`2026-01-01' or 1=1`, 'x']),
    ])
      await t.throwsAsync(listDeadLetters(deps, dead, { limit: 4, cursor: bad }), {
        message: /cursor is not valid/,
      });
  },
);

test.serial('of two operators who redrive one mail, one does, and the other is told', async (t) => {
  const deps = open(t);
  const [id = ''] = await insertDead(1, { error: '550 no' });
  const both = await Promise.allSettled([
    redriveMail(deps, id, cause),
    redriveMail(deps, id, { ...cause, operatorId: 8 }),
  ]);
  t.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  const refused = both.find((one) => one.status === 'rejected');
  t.is(String(refused?.reason), 'AppError: the message is not dead but pending');
  t.like(await readMailHistory(deps, id), { state: 'pending', redrives: 1 });
  const steps = (await readMailHistory(deps, id))?.steps ?? [];
  t.is(steps.filter(({ step }) => step === 'redriven').length, 1);
  const step = steps.find((each) => each.step === 'redriven');
  t.like(step, { error: '550 no', reason: cause.reason, actor: null });
});

test.serial(
  'an attempt that began before its message was marked as enqueued is told after it',
  async (t) => {
    const deps = open(t);
    const [id = ''] = await insertDead(1, { error: '550 no' });
    await context.rows(`update outbox set enqueued_at = now(), enqueue_count = 1 where id = $1`, [
      id,
    ]);
    await context.rows(
      `insert into deliveries (outbox_id, attempt, worker, started_at, finished_at, outcome)
     select id, 1, 'w', enqueued_at - interval '5 milliseconds', enqueued_at, 'refused' from outbox where id = $1`,
      [id],
    );
    const steps = (await readMailHistory(deps, id))?.steps ?? [];
    t.deepEqual(
      steps.map(({ step }) => step),
      ['asked', 'enqueued', 'tried'],
    );
  },
);

test.serial(
  'a bulk action acts upon every message that fits, once, and audits itself and each of them',
  async (t) => {
    const deps = open(t);
    await insertDead(205, { error: '421 later' });
    await insertDead(3, { error: '550 no' });
    const filter = { state: 'dead', cause: '421' } as const;
    const started = await startBulkAction(deps, { action: 'redrive', filter, rate: 1_000 }, cause);
    t.like(started, { total: 205, done: 0, state: 'running', operator_id: 7, rate: 1_000 });
    const progress: number[] = [];
    const failAgain = async (): Promise<unknown> =>
      context.rows(
        `update outbox set state = 'dead' where last_error like '421%' and state = 'pending'`,
      );
    const failures: Promise<unknown>[] = [];
    const ended = await runBulkAction(deps, started.id, {
      ...runAs(randomUUID()),
      onProgress: ({ done }) => {
        progress.push(done);
        failures.push(failAgain());
      },
    });
    await Promise.all(failures);
    t.like(ended, { done: 205, state: 'completed' });
    t.not(ended.finished_at, null);
    t.deepEqual(progress, [100, 200, 205]);
    t.deepEqual(
      await context.rows(
        'select redrives, generation, count(*)::int as n from outbox group by 1, 2 order by 3',
      ),
      [
        { redrives: 0, generation: 0, n: 3 },
        { redrives: 1, generation: 1, n: 205 },
      ],
      'what failed again meanwhile is not redriven again',
    );
    const audited = await context.rows(
      `select event, count(*)::int as n from audit_events
        where details->>'bulk_action' = $1 and details->>'operator_id' = '7' and details->>'reason' = $2
        group by 1 order by 1`,
      [started.id, cause.reason],
    );
    t.deepEqual(audited, [
      { event: 'bulk_action_completed', n: 1 },
      { event: 'bulk_action_started', n: 1 },
      { event: 'mail_redriven', n: 205 },
    ]);
    t.like(await listBulkActions(deps), [{ id: started.id, done: 205 }]);
  },
);

test.serial('a redriven batch is due at the rate of the action', async (t) => {
  const deps = open(t);
  await insertDead(10, { error: '421 later' });
  const { id } = await startBulkAction(deps, { action: 'redrive', filter: dead, rate: 5 }, cause);
  await runOneBatch(deps, id);
  const [due] = await context.rows<{ n: number; seconds: number }>(
    `select count(*)::int as n, extract(epoch from max(available_at) - min(available_at))::float as seconds
       from outbox where state = 'pending'`,
  );
  t.is(due?.n, 10, 'two seconds’ worth');
  t.is(due?.seconds, 9 / 5);
});

test.serial('a stopped action begins no further batch, and is stopped once', async (t) => {
  const deps = open(t);
  await insertDead(150, { error: '421 later' });
  const { id } = await startBulkAction(
    deps,
    { action: 'discard', filter: dead, rate: 1_000 },
    cause,
  );
  let stopping: Promise<BulkAction> | undefined;
  const running = runBulkAction(deps, id, {
    ...runAs(randomUUID()),
    onProgress: () => void (stopping ??= stopBulkAction(deps, id, cause)),
  });
  t.like(await running, { state: 'stopped', done: 100 });
  t.like(await stopping, { state: 'stopped', done: 100 });
  t.is(await countDeadLetters(deps, dead), 50);
  await t.throwsAsync(stopBulkAction(deps, id, cause), { message: 'no such action is running' });
  t.is(
    (await context.rows(`select from audit_events where event = 'bulk_action_stopped'`)).length,
    1,
  );
});

test.serial(
  'an action whose process was killed is taken over, and nothing is done twice',
  async (t) => {
    const deps = open(t);
    await insertDead(150, { error: '421 later' });
    const killed = randomUUID();
    const request = { action: 'redrive', filter: dead, rate: 1_000 } as const;
    const { id } = await startBulkAction(deps, request, cause, killed);
    await runOneBatch(deps, id, killed);
    // As the process would have left it.
    await context.rows(
      `update bulk_actions set claimed_by = $1, claimed_until = now() + interval '30 seconds'`,
      [killed],
    );
    const other = runAs(randomUUID());
    t.like(await runBulkAction(deps, id, { ...other, follows: false }), {
      state: 'running',
      done: 100,
    });
    t.is(await countDeadLetters(deps, dead), 50, 'the claim protects it');

    await context.rows(`update bulk_actions set claimed_until = now() - interval '1 second'`);
    const { log } = createRecordingLogger();
    const runner = startBulkActionRunner({ ...deps, log });
    t.teardown(() => runner.stop());
    runner.runNow();
    await eventually(async () => (await readBulkAction(deps, id)).state === 'completed');
    t.is((await readBulkAction(deps, id)).done, 150);
    t.deepEqual(await context.rows('select distinct redrives, state from outbox'), [
      { redrives: 1, state: 'pending' },
    ]);
  },
);

test.serial('an action that fails lets later ones pass, and is tried again', async (t) => {
  const deps = open(t);
  await insertDead(3, { error: '421 later' });
  const request = { action: 'redrive', filter: dead, rate: 1_000 } as const;
  const bad = await startBulkAction(deps, request, cause);
  await context.rows(`update bulk_actions set filter = '{"state":"nonsense"}'`);
  const good = await startBulkAction(deps, request, cause);
  const { log, lines } = createRecordingLogger();
  const runner = startBulkActionRunner({ ...deps, log });
  t.teardown(() => runner.stop());
  runner.runNow();
  await eventually(async () => (await readBulkAction(deps, good.id)).state === 'completed');
  t.like(await readBulkAction(deps, bad.id), { state: 'running', done: 0 });
  t.deepEqual(
    lines.map((line) => [line['msg'], line['labels.bulk_action']]),
    [['bulk action failed; will retry', bad.id]],
  );

  await insertDead(2, { error: '421 later' });
  await context.rows(
    `update bulk_actions set filter = '{"state":"dead"}', created_at = now(), claimed_until = now()
      where state = 'running' and claimed_until between now() and now() + interval '1 minute'`,
  );
  runner.runNow();
  await eventually(async () => (await readBulkAction(deps, bad.id)).state === 'completed');
  t.is((await readBulkAction(deps, bad.id)).done, 2);
});

test.serial('a rate out of bounds is refused', async (t) => {
  const deps = open(t);
  for (const rate of [0, -1, 1_001, NaN])
    await t.throwsAsync(startBulkAction(deps, { action: 'redrive', filter: dead, rate }, cause), {
      message: /the rate is/,
    });
});

type Deps = ReturnType<typeof open>;

function open(scope: Scope) {
  const { log, lines } = createRecordingLogger();
  return {
    database: openTestDatabase(scope, context.databaseUrl),
    audit: createAudit(log),
    lines,
  };
}

const runAs = (runner: string) => ({
  runner,
  signal: new AbortController().signal,
  follows: true,
});

/** Runs an action until its first batch is done. */
async function runOneBatch(deps: Deps, id: string, runner: string = randomUUID()): Promise<void> {
  const leaving = new AbortController();
  const onProgress = (): void => leaving.abort();
  await runBulkAction(deps, id, { runner, signal: leaving.signal, onProgress, follows: true });
}

interface Dead {
  readonly error: string | null;
  readonly state?: string;
  readonly recipient?: string;
  readonly name?: string;
  readonly age?: string;
}

/** Inserts messages that all failed in the same moment. */
async function insertDead(
  count: number,
  { error, state = 'dead', recipient, name = 'x', age = '1 minute' }: Dead,
): Promise<string[]> {
  const rows = await context.rows<{ id: string }>(
    `insert into outbox (id, name, payload, trace_id, state, attempts, last_error, recipient, created_at)
     select gen_random_uuid(), $2, '{}', 'x', $3, 1, $4, $5, now() - $6::interval from generate_series(1, $1)
     returning id`,
    [count, name, state, error, recipient ?? null, age],
  );
  return rows.map(({ id }) => id);
}
