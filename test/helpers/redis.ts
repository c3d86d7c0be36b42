import { Redis } from 'ioredis';

/** Everything that a Redis database holds, as one text: for looking whether something is in it. */
export async function dumpRedis(url: string): Promise<string> {
  const redis = new Redis(url);
  try {
    const keys = await redis.keys('*');
    const values = await Promise.all(keys.map((key) => readKey(redis, key)));
    return JSON.stringify(keys.map((key, i) => [key, values[i]]));
  } finally {
    redis.disconnect();
  }
}

async function readKey(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'hash':
      return redis.hgetall(key);
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'stream':
      return redis.xrange(key, '-', '+');
    case 'string':
      return redis.get(key);
    default:
      return undefined; // It has expired, or been used up, since the keys were listed.
  }
}
