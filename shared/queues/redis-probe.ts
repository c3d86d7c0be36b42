import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { refusalOfConnection } from './connection-refusal.js';
import { isClusterNode } from './redis-facts.js';
import { isRefusal, UnsupportedRedis } from './redis-refusals.js';
import { queuePrefix, type QueueName } from './registry.js';

const KEPT_MS = 60_000;

/**
 * Writes a key beside each of the queues: a Redis that answers may still refuse every write.
 * @throws its refusal; {@link UnsupportedRedis} for a node of a cluster.
 */
export async function tryWrites(
  redis: Pick<Redis, 'set' | 'info'>,
  queues: readonly QueueName[],
): Promise<void> {
  if (isClusterNode(await redis.info('cluster'))) throw new UnsupportedRedis();
  await Promise.all(
    queues.map((queue) => redis.set(`${queuePrefix(queue)}:probe`, '1', 'PX', KEPT_MS)),
  );
}

/**
 * Returns a probe of the Redis behind a client. It rejects within about two seconds when Redis does not answer or does
 * not write: with Redis's own refusal if there was one, even if that was of a connection, or else with why it was not reached.
 */
export function createRedisProbe(redis: Redis, queues: readonly QueueName[]): () => Promise<void> {
  let failure: Error | undefined;
  redis.on('error', (error: Error) => {
    failure = error;
  });
  return async () => {
    try {
      await connectionAttempt(redis);
      await tryWrites(redis, queues);
      failure = undefined;
    } catch (error) {
      // The client disconnects from a replica at once: the next probe finds no connection, for the same reason.
      if (isRefusal(error)) failure = error;
      if (isRefusal(failure)) throw failure;
      const isConnected = redis.status === 'ready';
      throw (
        (await refusalOfConnection(redis.options)) ?? (isConnected ? error : (failure ?? error))
      );
    }
  };
}

/** Waits for a connection attempt that is in progress: a probe right after the start must not report an outage. */
async function connectionAttempt(redis: Redis): Promise<void> {
  if (redis.status !== 'connecting' && redis.status !== 'connect') return;
  const tried = new AbortController();
  const { signal } = tried;
  try {
    await Promise.race([once(redis, 'ready', { signal }), once(redis, 'close', { signal })]);
  } finally {
    tried.abort();
  }
}
