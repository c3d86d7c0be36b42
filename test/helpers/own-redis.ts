import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { openRedis } from '../../dev/stack/redis.js';
import type { Scope } from './context.js';

/** A Redis that one test has to itself: it may be filled, emptied, killed and started again. */
export interface OwnRedis {
  readonly url: string;
  readonly client: Redis;
  /** The part of its memory that is used. */
  usedShare(): Promise<number>;
  /** Adds keys until this part of its memory is used. */
  fillTo(share: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Opens a Redis with a memory limit; it ends with the scope. */
export async function openOwnRedis(
  scope: Scope,
  { maxMemory, persistent = false }: { maxMemory: string; persistent?: boolean },
): Promise<OwnRedis> {
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-redis-'));
  scope.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const redis = await openRedis({ dataDir, port: 0, persistent });
  scope.teardown(() => redis.close());
  const { server } = redis;
  if (!server) throw new Error('the Redis is somebody else’s');
  const client = new Redis(redis.url);
  // It may be stopped under our feet.
  client.on('error', () => undefined);
  scope.teardown(() => client.disconnect());
  await client.config('SET', 'maxmemory', maxMemory);

  const usedShare = async (): Promise<number> => {
    const info = await client.info('memory');
    const numberOf = (field: string): number =>
      Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1]);
    return numberOf('used_memory') / numberOf('maxmemory');
  };
  let keys = 0;
  return {
    url: redis.url,
    client,
    usedShare,
    async fillTo(share) {
      while ((await usedShare()) < share)
        await client.set(`filling:${keys++}`, 'x'.repeat(100_000));
    },
    kill: () => server.kill(),
    start: () => server.start(),
    stop: () => server.stop(),
  };
}
