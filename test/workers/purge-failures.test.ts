import test from 'ava';
import { readTaskRuns } from '../../shared/tasks/read-task-runs.js';
import { createTaskRuns } from '../../workers/tasks/task-runs.js';
import { createTasks } from '../../workers/tasks/tasks.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { insertAdmin, openFixture } from './fixture.js';

shareProcess();

const context = useContext();
const LONG_AGO = `now() - interval '40 days'`;

test.serial(
  'a kind that cannot be purged keeps no other from it; the run has failed, and says which kind and why',
  async (t) => {
    const { tasks } = await setUp(t);
    const { adminId } = await insertAdmin(context);
    await context.rows(
      `insert into outbox (id, name, payload, trace_id, state, settled_at)
       select gen_random_uuid(), 'x', '{}', 'x', 'settled', ${LONG_AGO} from generate_series(1, 1100)`,
    );
    await context.rows(
      `insert into sessions (admin_id, refresh_nonce, refresh_hash, expires_at) values ($1, '', '', ${LONG_AGO})`,
      [adminId],
    );
    await context.rows(
      `insert into processes (id, service, host, pid, version, seen_at)
       values (gen_random_uuid(), 'x', 'x', 1, 'x', ${LONG_AGO})`,
    );
    await context.rows(
      `create function refuse_delete() returns trigger language plpgsql as
       $$ begin raise 'refused'; end $$;
       create trigger refuse_delete before delete on sessions execute function refuse_delete()`,
    );
    await t.throwsAsync(tasks.run('purge-expired'), {
      name: 'PurgeFailed',
      message: 'not purged: sessions: refused',
    });
    t.deepEqual(await context.rows('select from outbox'), [], 'a kind before it, in two batches');
    t.deepEqual(await context.rows('select from processes'), [], 'a kind after it');
    t.deepEqual(await lastRun(), {
      outcome: 'failed',
      error: 'PurgeFailed: not purged: sessions: refused',
    });

    await context.rows('drop trigger refuse_delete on sessions; drop function refuse_delete()');
    t.like(await tasks.run('purge-expired'), { sessions: 1 });
    t.deepEqual(await lastRun(), { outcome: 'completed', error: null });
  },
);

test.serial('a purge of which nothing succeeds fails with the first error', async (t) => {
  const { fixture, tasks } = await setUp(t);
  fixture.database.addHook('beforeQuery', () => {
    throw new Error('no connection');
  });
  await t.throwsAsync(tasks.run('purge-expired'), { name: 'Error', message: 'no connection' });
});

test.serial('a clock that is set forward while a purge runs does not end it', async (t) => {
  const { fixture, tasks } = await setUp(t);
  const right = Date.now;
  t.teardown(() => (Date.now = right));
  fixture.database.addHook('beforeQuery', () => {
    Date.now = () => right() + 3_600_000;
  });
  t.like(await tasks.run('purge-expired'), { unfinished: 0 });
});

test.serial('failed runs in a row are counted until one completes', async (t) => {
  await context.rows('delete from task_runs');
  const { fixture } = await setUp(t);
  const runs = createTaskRuns({ ...fixture, worker: 'w' });
  const failedRuns = async () =>
    (await readTaskRuns(fixture.database)).find(({ task }) => task === 'rotate-audit')?.failedRuns;
  t.is(await failedRuns(), 0, 'none has run');
  for (const count of [1, 2, 3]) {
    await t.throwsAsync(
      runs.record('rotate-audit', undefined, () => Promise.reject(new Error('denied'))),
    );
    t.is(await failedRuns(), count);
  }
  await runs.record('rotate-audit', undefined, async () => ({ dropped: 1 }));
  t.is(await failedRuns(), 0);
  t.deepEqual(await context.rows('select result from task_runs'), [{ result: { dropped: 1 } }]);
  await t.throwsAsync(
    runs.record('rotate-audit', undefined, () => Promise.reject(new Error('denied'))),
  );
  t.is(await failedRuns(), 1);
});

async function setUp(scope: Scope) {
  const fixture = await openFixture(scope, context);
  const { database, log } = fixture;
  const runs = createTaskRuns({ database, log, worker: 'host:1' });
  const sweep = { run: async () => ({ checked: 0, returned: 0, dead_lettered: 0 }) };
  return { fixture, tasks: createTasks({ database, log, runs, sweep }) };
}

async function lastRun(): Promise<unknown> {
  const [run] = await context.rows(
    `select outcome, error from task_runs where task = 'purge-expired'`,
  );
  return run;
}
