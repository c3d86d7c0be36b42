import { once } from 'node:events';
import type { Redis } from 'ioredis';
import type { QueueName } from '../jobs/define-job.js';
import { queuePrefix } from './job-queue.js';
import { isClusterNode } from './redis-facts.js';
import { isRefusal, UnsupportedRedis } from './redis-refusals.js';

const KEPT_MS = 60_000;

/**
 * Writes a key beside each of the queues: a Redis that only answers may still refuse every write.
 * @throws what it refuses with; {@link UnsupportedRedis} for a node of a cluster.
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
 * Returns what tries the Redis behind a client: it rejects within about two seconds when Redis does not answer or does
 * not write, with Redis's own refusal if there was one, be it that of a connection.
 */
export function createRedisProbe(redis: Redis, queues: readonly QueueName[]): () => Promise<void> {
  let refusal: Error | undefined;
  redis.on('error', (error: Error) => {
    refusal = isRefusal(error) ? error : undefined;
  });
  return async () => {
    try {
      await connectionTried(redis);
      await tryWrites(redis, queues);
      refusal = undefined;
    } catch (error) {
      // The client leaves a replica at once: whoever asks next meets no connection, for the same reason.
      if (isRefusal(error)) refusal = error;
      throw refusal ?? error;
    }
  };
}

/** A connection that is being made is no outage: whoever asks at the start asks before it stands. */
async function connectionTried(redis: Redis): Promise<void> {
  if (redis.status !== 'connecting' && redis.status !== 'connect') return;
  const tried = new AbortController();
  const { signal } = tried;
  try {
    await Promise.race([once(redis, 'ready', { signal }), once(redis, 'close', { signal })]);
  } finally {
    tried.abort();
  }
}
