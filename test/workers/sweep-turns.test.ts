import test from 'ava';
import { outboxJob, outboxJobId } from '../../shared/outbox/outbox-job.js';
import type { JobQueue } from '../../shared/queues/job-queue.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { createSweep, startSweeping, sweepEverything } from '../../workers/relay/sweep.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { openFixture } from './fixture.js';

shareProcess();

const context = useContext();
const minutesAgo = (minutes: number): string => `now() - interval '${minutes} minutes'`;
const enqueued = { state: 'enqueued', enqueuedAt: minutesAgo(5), enqueueCount: 1 };

test.afterEach.always(() => context.rows('delete from outbox'));

test.serial('one connection is enough', async (t) => {
  const { fixture, sweep } = await setUp(t, { poolMax: 1 });
  const lost = await fixture.promiseConfirmation({ message: enqueued });
  const waiting = await fixture.promiseConfirmation({ message: enqueued });
  await fixture.queues.mail.add(
    outboxJob({ id: waiting.id, name: 'send-confirmation-mail', generation: 0 }),
  );
  t.deepEqual(await sweep.run(), { checked: 1, returned: 1, dead_lettered: 0 });
  t.is((await fixture.messageOf(lost.id)).state, 'pending');
});

test.serial('what is returned is due from now on, not since it was promised', async (t) => {
  const { fixture, sweep } = await setUp(t);
  const { id } = await fixture.promiseConfirmation({
    message: { ...enqueued, availableAt: minutesAgo(90), createdAt: minutesAgo(90) },
  });
  t.is((await sweep.run()).returned, 1);
  const [row] = await context.rows<{ late: boolean }>(
    `select available_at < now() - interval '1 minute' as late from outbox where id = $1`,
    [id],
  );
  t.deepEqual(row, { late: false });
});

for (const [what, state] of [
  ['completed', 'completed'],
  ['unknown', 'unknown'],
  ['failed', 'failed'],
] as const) {
  test.serial(
    `a message that is settled while its job is looked for (${what}) is left as it is, without a word`,
    async (t) => {
      const { fixture, sweep } = await setUp(t, {
        async stateOf(jobId) {
          await context.rows(
            `update outbox set state = 'settled', settled_at = now()
              where $1 = 'o-' || id || '-' || generation`,
            [jobId],
          );
          return { state };
        },
      });
      const { id } = await fixture.promiseConfirmation({ message: enqueued });
      t.deepEqual(await sweep.run(), { checked: 0, returned: 0, dead_lettered: 0 });
      t.like(await fixture.messageOf(id), { state: 'settled', generation: 0 });
      t.deepEqual(fixture.messages(), []);
    },
  );
}

test.serial(
  'two sweeps of everything at once share the work: both end only when all is seen',
  async (t) => {
    const { sweep } = await setUp(t);
    const other = await setUp(t);
    await insertMany(320);
    const results = await Promise.all([sweepEverything(sweep), sweepEverything(other.sweep)]);
    t.is(
      results.reduce((sum, { returned }) => sum + returned, 0),
      320,
    );
    t.is(await countIn('enqueued'), 0);
  },
);

test.serial(
  'a message that is where it should be is looked at once in a sweep of everything',
  async (t) => {
    const { fixture, sweep } = await setUp(t);
    for (let i = 0; i < 3; i++) {
      const { id } = await fixture.promiseConfirmation({
        message: { ...enqueued, enqueuedAt: 'now()' },
      });
      await fixture.queues.mail.add(
        outboxJob({ id, name: 'send-confirmation-mail', generation: 0 }),
      );
    }
    t.deepEqual(await sweepEverything(sweep), { checked: 3, returned: 0, dead_lettered: 0 });
    t.is((await sweep.run()).checked, 0);
  },
);

test.serial(
  'the first turn after a start looks at everything: Redis may have lost its data while nobody ran',
  async (t) => {
    const { fixture, sweep } = await setUp(t);
    await insertMany(520, 'now()');
    const sweeping = startSweeping(sweep, fixture.log);
    t.teardown(() => sweeping.stop());
    await eventually(async () => (await countIn('enqueued')) === 0);
    t.is(await countIn('pending'), 520);
  },
);

test.serial('a first turn that could not see everything is made again', async (t) => {
  let isDown = true;
  const { fixture, sweep } = await setUp(t, {
    async stateOf(jobId) {
      if (isDown) throw new Error('as told');
      return fixture.queues.mail.stateOf(jobId);
    },
  });
  const { id } = await fixture.promiseConfirmation({
    message: { ...enqueued, enqueuedAt: 'now()' },
  });
  const sweeping = startSweeping(sweep, fixture.log, 30);
  t.teardown(() => sweeping.stop());
  await eventually(() => fixture.messages().length > 1);
  t.is((await fixture.queues.mail.stateOf(outboxJobId({ id, generation: 0 }))).state, 'unknown');
  isDown = false;
  await eventually(async () => (await fixture.messageOf(id)).state === 'pending');
  t.pass();
});

async function setUp(
  scope: Scope,
  { poolMax, stateOf }: { poolMax?: number; stateOf?: JobQueue['stateOf'] } = {},
) {
  const fixture = await openFixture(scope, context);
  const database = poolMax
    ? openTestDatabase(scope, context.databaseUrl, { poolMax })
    : fixture.database;
  const { mail } = fixture.queues;
  const queue = stateOf ? { ...mail, stateOf } : mail;
  return {
    fixture,
    sweep: createSweep({ database, queue, metrics: createMetrics('worker'), log: fixture.log }),
  };
}

async function insertMany(count: number, enqueuedAt = minutesAgo(5)): Promise<void> {
  await context.rows(
    `insert into outbox (id, name, payload, trace_id, state, enqueued_at, enqueue_count)
     select gen_random_uuid(), 'send-confirmation-mail', '{}', 'x', 'enqueued', ${enqueuedAt}, 1
       from generate_series(1, ${count})`,
  );
}

async function countIn(state: string): Promise<number> {
  const [row] = await context.rows<{ n: number }>(
    'select count(*)::int as n from outbox where state = $1',
    [state],
  );
  return row?.n ?? -1;
}
