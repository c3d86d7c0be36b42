import test from 'ava';
import { evaluate } from '../../../shared/alerts/evaluation.js';
import { readFacts } from '../../../shared/alerts/facts.js';
import type { RedStateName } from '../../../shared/alerts/red-states.js';
import type { Database } from '../../../shared/database/connect.js';
import { commonChecks, readiness } from '../../../shared/health/readiness.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openOwnRedis, type OwnRedis } from '../../helpers/own-redis.js';
import { insertMessage } from '../../workers/fixture.js';

shareProcess();

const context = useContext();

const hourAgo = `now() - interval '1 hour'`;
const waiting = (state: 'pending' | 'enqueued') => () =>
  insertMessage(
    context,
    null,
    'x',
    {},
    { state, createdAt: hourAgo, availableAt: hourAgo, enqueuedAt: hourAgo },
  );

/** How each fault is caused, and in PostgreSQL undone. */
const faults: Readonly<Partial<Record<RedStateName, Fault>>> = {
  postgres_refuses_writes: {
    async cause({ database }) {
      await context.rows(`create function refuse() returns trigger language plpgsql as
        $$ begin raise exception 'as told' using errcode = 'disk_full'; end $$`);
      await context.rows(
        'create trigger refuse before insert on metric_minutes for each row execute function refuse()',
      );
      await database
        .query(`insert into metric_minutes values ('x', now(), 0)`)
        .catch(() => undefined);
    },
    undo: 'drop function refuse cascade',
  },
  migrations_pending: {
    cause: () => context.rows(`update schema_migrations set name = name || '-later'`),
    undo: `update schema_migrations set name = replace(name, '-later', '')`,
  },
  outbox_not_relayed: { cause: waiting('pending'), undo: 'delete from outbox' },
  mails_not_worked_on: { cause: waiting('enqueued'), undo: 'delete from outbox' },
  redis_refuses: {
    cause: ({ redis }) => redis.client.config('SET', 'min-replicas-to-write', '1'),
  },
  redis_full: { cause: ({ redis }) => redis.client.config('SET', 'maxmemory', '1mb') },
};

interface Fault {
  readonly cause: (deps: { database: Database; redis: OwnRedis }) => Promise<unknown>;
  readonly undo?: string;
}

for (const [name, { cause, undo = 'select' }] of Object.entries(faults)) {
  test.serial(`${name} is found by the kind of the problem, whatever its words`, async (t) => {
    const deps = await open(t);
    await cause(deps);
    try {
      const red = async (): Promise<readonly string[]> => {
        const facts = await readFacts(deps);
        // What is used of Redis's memory is another way to find it full.
        return evaluate({ ...facts, checks: reworded(facts.checks), redisUse: {} }).red.map(
          (state) => state.name,
        );
      };
      await eventually(async () => (await red()).includes(name), { of: name });
      t.deepEqual(await red(), [name]);
      const { checks } = await readiness(deps.checks, () => false);
      t.false(JSON.stringify(checks).includes('"kind"'), 'it is not shown');
    } finally {
      await context.rows(undo);
    }
  });
}

const reworded = (checks: Awaited<ReturnType<typeof readFacts>>['checks']) =>
  Object.fromEntries(
    Object.entries(checks).map(([name, check]) => [
      name,
      check.ok ? check : { ...check, problem: 'other words' },
    ]),
  );

async function open(scope: Scope) {
  const redis = await openOwnRedis(scope, { maxMemory: '64mb' });
  const database = openTestDatabase(scope, context.databaseUrl);
  const queues = openQueues({ url: redis.url, logsUrl: redis.url }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true), { of: 'Redis' });
  return { redis, database, queues, checks: commonChecks(database, queues), neededRoles: [] };
}
