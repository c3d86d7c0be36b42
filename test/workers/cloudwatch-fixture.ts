import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { metricDefinitions, type MetricName } from '../../shared/metrics/catalogue.js';
import { collectStores } from '../../shared/metrics/collect-stores.js';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { outboxJob } from '../../shared/outbox/outbox-job.js';
import { openQueues } from '../../shared/queues/queues.js';
import { openCloudWatchClient } from '../../workers/cloudwatch/cloudwatch.client.js';
import { startPublishing, type PublishingDeps } from '../../workers/cloudwatch/publishing.js';
import { openCloudWatchServer } from '../helpers/cloudwatch.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openFixture, type Fixture } from './fixture.js';

const NEVER_MS = 3_600_000;
const mail = { ratePerSecond: 300, connections: undefined };
const sink: NonNullable<PublishingDeps['sink']> = {
  put: async () => [],
  close: async () => undefined,
};

/** A publisher that publishes when it is told to, and whatever it sends. */
export async function openPublisher(
  scope: Scope,
  context: TestContext,
  {
    redisUrl = context.redisUrl,
    database: elsewhere = {},
    ...deps
  }: Pick<PublishingDeps, 'roles'> & {
    readonly sink?: PublishingDeps['sink'];
    /** In place of the real client. */
    readonly cloudWatch?: PublishingDeps['cloudWatch'];
    readonly redisUrl?: string;
    readonly database?: Parameters<typeof openTestDatabase>[2];
  },
) {
  const server = await openCloudWatchServer(scope);
  const fixture = await openFixture(scope, context);
  const logger = createRecordingLogger();
  const database = openTestDatabase(scope, context.databaseUrl, elsewhere);
  const queues = openQueues({ url: redisUrl, logsUrl: redisUrl }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  const metrics = createMetrics('worker');
  collectStores(metrics, { database, queues, spoolUse: () => undefined });
  const cloudWatch = openTestClient(scope);
  const publishing = startPublishing(
    { cloudWatch, database, metrics, log: logger.log, mail, sink, ...deps },
    { firstMs: NEVER_MS, untilNextMs: () => NEVER_MS },
  );
  scope.teardown(() => publishing.stop());

  /** Without what is read when somebody asks for it. */
  const counted = async (name: MetricName, wanted: Readonly<Record<string, string>> = {}) =>
    (await metrics.read((definition) => definition === metricDefinitions[name]))
      .flatMap(({ series }) => series)
      .filter(({ labels }) => Object.entries(wanted).every(([key, text]) => labels[key] === text))
      .reduce((sum, { value }) => sum + value, 0);
  const count = (result: 'published' | 'failed'): Promise<number> =>
    counted('rollcall_cloudwatch_publications_total', { result });
  /** What took too long to be read, as on a busy machine. */
  const missed = (): Promise<number> => counted('rollcall_metric_read_failures_total');
  const isComplete = redisUrl === context.redisUrl;
  return {
    ...{ server, fixture, logger, publishing, count },
    /** Resolves to what is published now, once all of it could be read. */
    publish: () =>
      eventually(async () => {
        const [published, failed, missing] = await Promise.all([
          count('published'),
          count('failed'),
          missed(),
        ]);
        publishing.runNow();
        await eventually(
          async () => (await count('published')) + (await count('failed')) > published + failed,
        );
        if ((await count('published')) === published) return false;
        return (!isComplete || (await missed()) === missing) && server.last()?.values;
      }),
  };
}

/** Of this minute as well, which may be over when it is read. */
export async function countedInLastMinute(
  context: TestContext,
  counts: Readonly<Record<string, number>>,
): Promise<void> {
  await insertMinutes(context, counts, [0, 1, -1]);
}

/** Minutes ago. */
export const countedBefore = (
  context: TestContext,
  counts: Readonly<Record<string, number>>,
): Promise<void> => insertMinutes(context, counts, [5]);

async function insertMinutes(
  context: TestContext,
  counts: Readonly<Record<string, number>>,
  minutesAgo: readonly number[],
): Promise<void> {
  await context.rows(
    `insert into metric_minutes (name, minute, value)
     select name, date_trunc('minute', now()) - ago * interval '1 minute', value
       from unnest($1::text[], $2::float8[]) as counted (name, value), unnest($3::int[]) as ago`,
    [Object.keys(counts), Object.values(counts), minutesAgo],
  );
}

/** As presence writes it. */
export async function workerFinds(
  context: TestContext,
  check: string,
  { seenAt = 'now()', stoppedAt = 'null' }: { seenAt?: string; stoppedAt?: string } = {},
): Promise<void> {
  await context.rows(
    `insert into processes (id, service, host, pid, version, roles, started_at, seen_at, stopped_at, health)
     values (gen_random_uuid(), 'rollcall-worker', 'h', 1, '1', '{mail}', now(), ${seenAt}, ${stoppedAt}, $1)`,
    [{ [check]: { ok: false, problem: 'broken' }, postgres: { ok: true } }],
  );
}

/** Messages that are due unless their times, in SQL, say otherwise. */
export async function insertMessages(
  context: TestContext,
  count: number,
  { state = 'pending', availableAt = 'now()', enqueuedAt = 'null' } = {},
): Promise<void> {
  await context.rows(
    `insert into outbox (id, name, payload, trace_id, state, available_at, enqueued_at)
     select gen_random_uuid(), 'send-confirmation-mail', '{}', '', $2, ${availableAt}, ${enqueuedAt}
       from generate_series(1, $1::int)`,
    [count, state],
  );
}

/** Jobs that no worker takes. */
export async function addMailJobs({ queues }: Fixture, count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, () =>
      queues.mail.add(
        outboxJob({ id: randomUUID(), name: 'send-confirmation-mail', generation: 0 }),
      ),
    ),
  );
}

/** Takes away what another test left. */
export async function emptyStores(context: TestContext): Promise<void> {
  await context.rows('truncate processes, metric_minutes, outbox cascade');
  const redis = new Redis(context.redisUrl);
  await redis.flushdb();
  redis.disconnect();
}

/** The real client, for the server that was opened last. */
export function openTestClient(scope: Scope): PublishingDeps['cloudWatch'] {
  const cloudWatch = openCloudWatchClient({
    namespace: 'Rollcall',
    environment: 'test',
    region: 'eu-central-1',
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  });
  scope.teardown(() => cloudWatch.close());
  return cloudWatch;
}
