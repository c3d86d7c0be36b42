import type { Redis } from 'ioredis';
import type { Logger } from '../logging/logger.js';
import { openJobQueue, type JobQueue } from './job-queue.js';
import { logRedisErrors } from './log-redis-errors.js';
import { createQueueRoom, type QueueRoom } from './queue-room.js';
import { createReceipts, removeCorruptReceipts, type Receipts } from './receipts.js';
import { openFailFastRedis } from './redis-client.js';
import { problemsOfRedis, readRedisFacts, type RedisProblem } from './redis-facts.js';
import { createRedisMemory, type RedisMemory } from './redis-memory.js';
import { createRedisProbe } from './redis-probe.js';
import { isWrongType, refusalOfRedis } from './redis-refusals.js';
import {
  forEachQueue,
  queuePrefix,
  redisInstances,
  redisUrlOf,
  type QueueName,
  type RedisInstance,
  type RedisName,
  type RedisUrls,
} from './registry.js';

/** The producer's side of every queue, by name. */
type JobQueues = { readonly [Q in QueueName]: JobQueue<Q> };

/** The producer's side of every queue, and the state of the Redis behind them. */
export interface Queues extends JobQueues {
  /** Whether producers may add jobs to a queue. */
  readonly room: Readonly<Record<QueueName, QueueRoom>>;
  /** Which log batches have been shipped. */
  readonly receipts: Receipts;
  /** Removes corrupt keys of the queue `logs` and of its receipts; resolves to their names. */
  repairLogs(): Promise<string[]>;
  /** The Redis instances in use: `main`, and `logs` where that is another one. */
  readonly redisNames: readonly RedisName[];
  /** Resolves when a Redis in use, the main one unless named, answers and writes; rejects within about two seconds otherwise. */
  ping(name?: RedisName): Promise<void>;
  /** The used share of the memory of a Redis in use, as of a second ago at most. @throws when it does not answer. */
  usedShare(name: RedisName): Promise<number>;
  /** True for one of several callers with this name within so long. @throws when the main Redis does not answer. */
  isFirst(name: string, forMs: number): Promise<boolean>;
  /** An id of the main Redis's data. When it changes, the data was lost, and with it perhaps every job enqueued before. */
  epoch(): Promise<string>;
  /** What an operator should correct about Redis; empty when all is well. @throws when it does not answer. */
  problems(): Promise<RedisProblem[]>;
  /** Disconnects at once; does not wait for a Redis that is gone. */
  close(): Promise<void>;
}

/** A Redis in use, and what is opened once for all queues that it holds. */
interface OpenRedis {
  readonly name: RedisName;
  readonly client: Redis;
  readonly memory: RedisMemory;
  readonly probe: () => Promise<void>;
}

const EPOCH_KEY = `${queuePrefix('mail')}:epoch`;
const CLAIM_KEY = `${queuePrefix('mail')}:claim`;

/** Connects lazily and reconnects by itself; opening never fails and never waits. */
export function openQueues(urls: RedisUrls, log: Logger): Queues {
  const onError = logRedisErrors(log, 'Redis connection error');
  const opened = new Map(
    redisInstances(urls).map((instance) => [instance.url, openRedis(instance, onError)]),
  );
  const redisAt = (url: string): OpenRedis => {
    const redis = opened.get(url);
    if (!redis) throw new Error('no Redis is open at this URL');
    return redis;
  };
  const queues = forEachQueue((name) =>
    openJobQueue(name, redisAt(redisUrlOf(name, urls)).client, onError),
  );
  const all = [...opened.values()];
  const redisOf = (name: RedisName): OpenRedis =>
    all.find((redis) => redis.name === name) ?? redisAt(urls.url);
  const logsRedis = redisAt(redisUrlOf('logs', urls)).client;

  return {
    ...queues,
    room: forEachQueue((name) =>
      createQueueRoom(name, queues[name], redisAt(redisUrlOf(name, urls)).memory),
    ),
    receipts: createReceipts(logsRedis),
    async repairLogs() {
      const removed = await Promise.all([
        queues.logs.removeCorruptKeys(),
        removeCorruptReceipts(logsRedis),
      ]);
      return removed.flat();
    },
    redisNames: all.map(({ name }) => name),
    async ping(name = 'main') {
      await redisOf(name).probe();
    },
    usedShare: (name) => redisOf(name).memory.usedShare(),
    isFirst: async (name, forMs) =>
      (await redisAt(urls.url).client.set(`${CLAIM_KEY}:${name}`, '1', 'PX', forMs, 'NX')) !== null,
    epoch: () => readEpoch(redisAt(urls.url).client),
    async problems() {
      return (await Promise.all(all.map(problemsIn))).flat();
    },
    async close() {
      await Promise.allSettled(Object.values(queues).map((queue) => queue.close()));
      for (const { client } of all) client.disconnect();
    },
  };
}

function openRedis({ name, url, queues }: RedisInstance, onError: (e: Error) => void): OpenRedis {
  const client = openFailFastRedis(url, onError);
  return {
    name,
    client,
    memory: createRedisMemory(client),
    probe: createRedisProbe(client, queues),
  };
}

async function problemsIn({ client, probe }: OpenRedis): Promise<RedisProblem[]> {
  try {
    await probe();
    return problemsOfRedis(await readRedisFacts(client));
  } catch (error) {
    const refusal = refusalOfRedis(error);
    if (refusal === undefined) throw error;
    return [{ isSerious: true, problem: `it ${refusal.problem}` }];
  }
}

async function readEpoch(redis: Redis): Promise<string> {
  const known = await redis.get(EPOCH_KEY).catch((error: unknown) => {
    // A key of another type was written by another program, which may have changed more.
    if (!isWrongType(error)) throw error;
    return redis.del(EPOCH_KEY).then(() => null);
  });
  if (known !== null) return known;
  await redis.set(EPOCH_KEY, crypto.randomUUID(), 'NX');
  return (await redis.get(EPOCH_KEY)) ?? '';
}
