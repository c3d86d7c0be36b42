import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';
import { checkOutbox } from '../health/outbox-check.js';
import type { SpoolUse } from '../log-shipping/open-logging.js';
import type { Queues } from '../queues/queues.js';
import type { JobQueue } from '../queues/job-queue.js';
import { queueNames, type QueueName } from '../queues/registry.js';
import { MAX_COUNTED_MESSAGES } from './catalogue.js';
import type { Metrics } from './metrics.js';

export interface StoresToMeasure {
  readonly database: Database;
  readonly queues: Queues;
  readonly spoolUse: () => SpoolUse | undefined;
}

/** Registers the state of PostgreSQL, the outbox, the queues and the spool: read when somebody asks, and each minute. */
export function collectStores(
  metrics: Metrics,
  { database, queues, spoolUse }: StoresToMeasure,
): void {
  collectConnections(metrics, database);
  metrics.collect(['rollcall_outbox_messages', 'rollcall_outbox_oldest_seconds'], () =>
    readOutbox(database),
  );
  for (const queue of queueNames) collectQueue(metrics, queue, queues[queue]);
  for (const redis of queues.redisNames)
    metrics.collect(['rollcall_redis_memory_used_ratio'], async () => ({
      rollcall_redis_memory_used_ratio: [
        { labels: { redis }, value: await queues.usedShare(redis) },
      ],
    }));
  metrics.collect(
    [
      'rollcall_log_spool_bytes',
      'rollcall_log_spool_max_bytes',
      'rollcall_log_oldest_seconds',
      'rollcall_log_lines_dropped_total',
    ],
    () => {
      const { bytes, maxBytes, oldestSeconds, droppedLines } = spoolUse() ?? {
        bytes: 0,
        maxBytes: 0,
        oldestSeconds: 0,
        droppedLines: 0,
      };
      return {
        rollcall_log_spool_bytes: [{ value: bytes }],
        rollcall_log_spool_max_bytes: [{ value: maxBytes }],
        rollcall_log_oldest_seconds: [{ value: oldestSeconds }],
        rollcall_log_lines_dropped_total: [{ value: droppedLines }],
      };
    },
  );
}

/** Each by itself: another queue may be in another Redis. */
function collectQueue(metrics: Metrics, queue: QueueName, jobs: Pick<JobQueue, 'state'>): void {
  metrics.collect(
    ['rollcall_queue_jobs', 'rollcall_queue_paused', 'rollcall_queue_throttled_seconds'],
    async () => {
      const { counts, paused, throttledMs } = await jobs.state();
      const labels = { queue };
      return {
        rollcall_queue_jobs: (Object.keys(counts) as (keyof typeof counts)[]).map((state) => ({
          labels: { queue, state },
          value: counts[state],
        })),
        rollcall_queue_paused: [{ labels, value: paused ? 1 : 0 }],
        rollcall_queue_throttled_seconds: [{ labels, value: throttledMs / 1_000 }],
      };
    },
  );
}

const POOL = 'db_client_connection_pool_name';

function collectConnections(metrics: Metrics, database: Database): void {
  metrics.collect(
    [
      'db_client_connection_count',
      'db_client_connection_max',
      'db_client_connection_pending_requests',
    ],
    () => {
      const pools = Object.entries(database.connectionUse()).map(([name, use]) => ({
        labels: { [POOL]: name as 'models' | 'statements' } as const,
        use,
      }));
      return {
        db_client_connection_count: pools.flatMap(({ labels, use: { used, idle } }) => [
          { labels: { ...labels, db_client_connection_state: 'used' as const }, value: used },
          { labels: { ...labels, db_client_connection_state: 'idle' as const }, value: idle },
        ]),
        db_client_connection_max: pools.map(({ labels, use }) => ({ labels, value: use.max })),
        db_client_connection_pending_requests: pools.map(({ labels, use }) => ({
          labels,
          value: use.waiting,
        })),
      };
    },
  );
}

const counted = {
  pending: 'and available_at <= now()',
  enqueued: '',
  dead: '',
  uncertain: '',
} as const;

/** The depth of the outbox by state, and what the readiness check measures. */
async function readOutbox(database: Database) {
  const [check, rows] = await Promise.all([
    checkOutbox(database),
    database.query<{ state: keyof typeof counted; count: number }>(
      Object.entries(counted)
        .map(
          ([state, condition]) =>
            `select '${state}' as state, count(*)::int as count
               from (select from outbox where state = '${state}' ${condition} limit ${MAX_COUNTED_MESSAGES}) counted`,
        )
        .join(' union all '),
      { type: QueryTypes.SELECT },
    ),
  ]);
  const ages = {
    pending: check['oldest_pending_seconds'],
    untried: check['oldest_untried_seconds'],
    open: check['oldest_open_seconds'],
  };
  return {
    rollcall_outbox_messages: rows.map(({ state, count }) => ({ labels: { state }, value: count })),
    rollcall_outbox_oldest_seconds: Object.entries(ages).map(([state, age]) => ({
      labels: { state: state as keyof typeof ages },
      value: Number(age ?? 0),
    })),
  };
}
