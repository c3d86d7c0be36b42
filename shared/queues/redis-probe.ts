import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Redis } from 'ioredis';
import { refusalOfConnection } from './connection-refusal.js';
import { isClusterNode } from './redis-facts.js';
import { isRefusal, UnsupportedRedis } from './redis-refusals.js';
import { queuePrefix, type QueueName } from './registry.js';

/** Every command of BullMQ's scripts, on a key of each type that they use. */
const COMMANDS = [
  'SET KEY 1 PX 60000',
  ...['GET KEY', 'INCR KEY', 'EXISTS KEY', 'PEXPIRE KEY 60000', 'PTTL KEY', 'RENAME KEY KEY'],
  'DEL KEY',
  ...['LPUSH KEY a b c d', 'RPUSH KEY e', 'RPOPLPUSH KEY KEY', 'LLEN KEY', 'LRANGE KEY 0 0'],
  ...['LINDEX KEY 0', 'LREM KEY 0 a', 'LTRIM KEY 0 9', 'LPOP KEY', 'RPOP KEY'],
  'DEL KEY',
  ...['HSET KEY f 1', 'HMSET KEY f 1', 'HINCRBY KEY f 1', 'HGET KEY f', 'HMGET KEY f'],
  ...['HGETALL KEY', 'HEXISTS KEY f', 'HDEL KEY f'],
  'DEL KEY',
  ...['SADD KEY a', 'SCARD KEY', 'SISMEMBER KEY a', 'SMEMBERS KEY', 'SREM KEY a'],
  'DEL KEY',
  ...['ZADD KEY 1 a 2 b', 'ZCARD KEY', 'ZCOUNT KEY 1 2', 'ZSCORE KEY a', 'ZRANGE KEY 0 0'],
  ...['ZREVRANGE KEY 0 0', 'ZRANGEBYSCORE KEY 1 1', 'ZREVRANGEBYSCORE KEY 1 1', 'ZREM KEY a'],
  ...['ZREMRANGEBYRANK KEY 1 1', 'ZREMRANGEBYSCORE KEY 1 1', 'ZPOPMIN KEY'],
  'DEL KEY',
  ...['XADD KEY * f 1', 'XTRIM KEY MAXLEN 1'],
  'DEL KEY',
] as const;

/** Gives the commands one by one; answers with the first refusal, and leaves no key behind. */
const SCRIPT = `
for _, command in ipairs(ARGV) do
  local words = {}
  for word in command:gmatch('%S+') do
    words[#words + 1] = word == 'KEY' and KEYS[1] or word
  end
  local answer = redis.pcall(unpack(words))
  if type(answer) == 'table' and answer.err then
    redis.pcall('DEL', KEYS[1])
    return answer
  end
end`;
const SCRIPT_ID = createHash('sha1').update(SCRIPT).digest('hex');

/**
 * Gives the commands that the queues need on a key beside each of them, within a script as BullMQ does: a Redis that answers
 * may still refuse every write, or its user a single command.
 * @throws its refusal; {@link UnsupportedRedis} for a node of a cluster.
 */
export async function tryWrites(
  redis: Pick<Redis, 'eval' | 'evalsha' | 'info'>,
  queues: readonly QueueName[],
): Promise<void> {
  if (isClusterNode(await redis.info('cluster'))) throw new UnsupportedRedis();
  const keys = queues.map((queue) => `${queuePrefix(queue)}:probe`);
  await Promise.all(
    // The second call has no commands: it only needs the right to call a script by its id.
    keys.flatMap((key) => [
      redis.eval(SCRIPT, 1, key, ...COMMANDS),
      redis.evalsha(SCRIPT_ID, 1, key),
    ]),
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
