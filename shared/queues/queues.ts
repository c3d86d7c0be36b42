import type { Redis } from 'ioredis';
import type { QueueName } from '../jobs/define-job.js';
import type { Logger } from '../logging/logger.js';
import { createLogThrottle } from '../logging/log-throttle.js';
import { openJobQueue, type JobQueue } from './job-queue.js';
import { createQueueRoom, type QueueRoom } from './queue-room.js';
import { problemsOfRedis, readRedisFacts, type RedisProblem } from './redis-facts.js';
import { isWrongType, refusalOfRedis } from './redis-refusals.js';
import { createReceipts, removeForeignReceipts, type Receipts } from './receipts.js';
import { openFailFastRedis } from './redis-client.js';
import { createRedisMemory } from './redis-memory.js';
import { createRedisProbe } from './redis-probe.js';

/** The producer's ends of all queues, and the state of the Redis behind them. */
export interface Queues {
  readonly mail: JobQueue;
  readonly logs: JobQueue;
  /** Whether a queue should be given more jobs. */
  readonly room: Readonly<Record<QueueName, QueueRoom>>;
  /** Which log batches have been shipped. */
  readonly receipts: Receipts;
  /** What `removeForeignKeys` does for a queue, for that of the log batches and their receipts. */
  repairLogs(): Promise<string[]>;
  /** Resolves when the Redis of the mail queue answers and writes; rejects within about two seconds otherwise. */
  ping(): Promise<void>;
  /** The same for the Redis of the logs queue; absent when that is the mail queue's. */
  readonly pingLogs: (() => Promise<void>) | undefined;
  /**
   * The name that this Redis's data goes by. It changes when the data is gone: whoever remembers another name knows
   * that every job enqueued before may be lost.
   */
  epoch(): Promise<string>;
  /** What an operator should mend about Redis; empty when all is well. @throws when it does not answer. */
  problems(): Promise<RedisProblem[]>;
  /** Stops at once; does not wait for a Redis that is gone. */
  close(): Promise<void>;
}

const EPOCH_KEY = '{mail}:epoch';
const SAME_ERROR_EVERY_MS = 60_000;

/** Connects lazily and reconnects by itself; opening never fails and never waits. */
export function openQueues(config: { url: string; logsUrl: string }, log: Logger): Queues {
  const onError = throttledWarning(log);
  const mailRedis = openFailFastRedis(config.url, onError);
  const logsRedis =
    config.logsUrl === config.url ? mailRedis : openFailFastRedis(config.logsUrl, onError);
  const mail = openJobQueue('mail', mailRedis, onError);
  const logs = openJobQueue('logs', logsRedis, onError);
  const mailMemory = createRedisMemory(mailRedis);
  const isShared = logsRedis === mailRedis;
  const logsMemory = isShared ? mailMemory : createRedisMemory(logsRedis);

  const ping = createRedisProbe(mailRedis, isShared ? ['mail', 'logs'] : ['mail']);
  const pingLogs = isShared ? undefined : createRedisProbe(logsRedis, ['logs']);

  return {
    mail,
    logs,
    room: {
      mail: createQueueRoom('mail', mail, mailMemory),
      logs: createQueueRoom('logs', logs, logsMemory),
    },
    receipts: createReceipts(logsRedis),
    async repairLogs() {
      const removed = await Promise.all([
        logs.removeForeignKeys(),
        removeForeignReceipts(logsRedis),
      ]);
      return removed.flat();
    },
    ping,
    pingLogs,
    epoch: () => readEpoch(mailRedis),
    async problems() {
      const found = await Promise.all([
        problemsIn(mailRedis, ping),
        ...(pingLogs ? [problemsIn(logsRedis, pingLogs)] : []),
      ]);
      return found.flat();
    },
    async close() {
      await Promise.allSettled([mail.close(), logs.close()]);
      for (const redis of new Set([mailRedis, logsRedis])) redis.disconnect();
    },
  };
}

async function problemsIn(redis: Redis, probe: () => Promise<void>): Promise<RedisProblem[]> {
  try {
    await probe();
    return problemsOfRedis(await readRedisFacts(redis));
  } catch (error) {
    const refusal = refusalOfRedis(error);
    if (refusal === undefined) throw error;
    return [{ isSerious: true, problem: `it ${refusal}` }];
  }
}

async function readEpoch(redis: Redis): Promise<string> {
  const known = await redis.get(EPOCH_KEY).catch((error: unknown) => {
    // Whoever wrote something else there may have changed more.
    if (!isWrongType(error)) throw error;
    return redis.del(EPOCH_KEY).then(() => null);
  });
  if (known !== null) return known;
  await redis.set(EPOCH_KEY, crypto.randomUUID(), 'NX');
  return (await redis.get(EPOCH_KEY)) ?? '';
}

/** A lost connection repeats its error at every try to reconnect. */
function throttledWarning(log: Logger): (error: Error) => void {
  const isDue = createLogThrottle(SAME_ERROR_EVERY_MS);
  return (error) => {
    if (isDue(error.message)) log.warn({ err: error }, 'Redis connection error');
  };
}
