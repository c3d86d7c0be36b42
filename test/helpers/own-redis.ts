import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { claimPort } from '../../dev/stack/processes/ports.js';
import { openRedis } from '../../dev/stack/redis.js';
import type { Scope } from './context.js';
import { eventually } from './eventually.js';

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

/** How it is set up. */
export interface OwnRedisOptions {
  readonly maxMemory: string;
  readonly persistent?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
}

/** Opens a Redis with a memory limit; it ends with the scope. */
export async function openOwnRedis(
  scope: Scope,
  { maxMemory, persistent = false, settings = {} }: OwnRedisOptions,
): Promise<OwnRedis> {
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-redis-'));
  scope.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const redis = await openRedis({ dataDir, port: 0, persistent, settings });
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

/** Opens a cluster of two whose slots are shared out so that each holds one of the queues. */
export async function openRedisCluster(scope: Scope) {
  const nodes = [await openNode(scope), await openNode(scope)] as const;
  const [mail, logs] = nodes;
  const slot = await mail.client.cluster('KEYSLOT', '{logs}');
  await mail.client.call('CLUSTER', 'ADDSLOTSRANGE', 0, slot - 1, slot + 1, 16_383);
  await logs.client.call('CLUSTER', 'ADDSLOTS', slot);
  const { hostname, port } = new URL(logs.url);
  await mail.client.call('CLUSTER', 'MEET', hostname, port, logs.busPort);
  for (const { client } of nodes) {
    await eventually(async () => /cluster_state:ok/.test(await client.cluster('INFO')), {
      of: 'the cluster',
    });
  }
  return { mailUrl: mail.url, logsUrl: logs.url };
}

async function openNode(scope: Scope): Promise<OwnRedis & { readonly busPort: number }> {
  const bus = await claimPort(0);
  scope.teardown(() => bus.release());
  const settings = { 'cluster-enabled': 'yes', 'cluster-port': String(bus.port) };
  return Object.assign(await openOwnRedis(scope, { maxMemory: '64mb', settings }), {
    busPort: bus.port,
  });
}
