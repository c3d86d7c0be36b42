import { connectRedis } from './redis-client.js';

/** What a Redis says of itself. */
export interface RedisFacts {
  readonly version: string;
  /** Must be `noeviction`: any other throws jobs away. */
  readonly policy: string;
  /** True when it writes a log of its changes (AOF), which survives a crash. */
  readonly isPersistent: boolean;
  readonly usedBytes: number;
  /** 0 is no limit. */
  readonly maxBytes: number;
}

/** Asks a Redis about itself. @throws when it cannot be reached. */
export async function readRedisFacts(url: string): Promise<RedisFacts> {
  const redis = await connectRedis(url);
  try {
    const info = await redis.info();
    const read = (name: string): string =>
      new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
    return {
      version: read('redis_version'),
      policy: read('maxmemory_policy'),
      isPersistent: read('aof_enabled') === '1',
      usedBytes: Number(read('used_memory')),
      maxBytes: Number(read('maxmemory')),
    };
  } finally {
    redis.disconnect();
  }
}
