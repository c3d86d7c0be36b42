import { randomUUID } from 'node:crypto';
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
  unsuitable_locale: {
    // For the sessions that follow.
    cause: () =>
      context.rows(`do $do$ begin
        create function public.lower(text) returns text immutable language sql
          as $$ select pg_catalog.lower(replace($1, 'I', 'ı')) $$;
        execute format('alter database %I set search_path = public, pg_catalog', current_database());
      end $do$`),
    undo: `do $$ begin
      drop function public.lower(text);
      execute format('alter database %I reset search_path', current_database());
    end $$`,
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

for (const [what, problem, address] of [
  [
    'the password is wrong',
    'refuses connections: 28P01 (the user or the password is wrong)',
    () => addressWith({ password: 'wrong' }),
  ],
  [
    'the database is missing',
    'refuses connections: 3D000 (the database does not exist)',
    () => addressWith({ pathname: '/missing' }),
  ],
  [
    'there are too many connections',
    'refuses connections: 53300 (it has too many connections)',
    (t: Scope) => addressOfRole(t, 'login connection limit 0'),
  ],
  [
    'the role may not log in',
    'refuses connections: 28000 (no access for this user or connection)',
    (t: Scope) => addressOfRole(t, 'nologin'),
  ],
] as const) {
  test.serial(
    `where ${what}, PostgreSQL is not told as down, and the cause is named`,
    async (t) => {
      const deps = await open(t, await address(t));
      const { red } = evaluate(await readFacts(deps));
      t.deepEqual(
        red.map(({ name, detail }) => [name, detail]),
        [['postgres_refuses', `postgres ${problem}`]],
      );
    },
  );
}

const addressWith = (parts: Partial<Record<'username' | 'password' | 'pathname', string>>) =>
  Object.assign(new URL(context.databaseUrl), parts).href;

async function addressOfRole(scope: Scope, rights: string): Promise<string> {
  const username = `r_${randomUUID().replaceAll('-', '')}`;
  await context.rows(`create role ${username} password 'secret' ${rights}`);
  scope.teardown(() => context.rows(`drop role ${username}`));
  return addressWith({ username, password: 'secret' });
}

async function open(scope: Scope, databaseUrl = context.databaseUrl) {
  const redis = await openOwnRedis(scope, { maxMemory: '64mb' });
  const database = openTestDatabase(scope, databaseUrl);
  const queues = openQueues({ url: redis.url, logsUrl: redis.url }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true), { of: 'Redis' });
  return { redis, database, queues, checks: commonChecks(database, queues), neededRoles: [] };
}
