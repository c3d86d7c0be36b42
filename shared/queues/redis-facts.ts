import type { Redis } from 'ioredis';

/** What a Redis says of its memory. */
export interface MemoryFacts {
  readonly usedBytes: number;
  /** Its `maxmemory`; 0 is no limit. */
  readonly maxBytes: number;
  /** What it can use: `maxmemory`, or the host's memory where no limit is set; infinite if it does not tell. */
  readonly limitBytes: number;
}

/** What a Redis says of itself: https://redis.io/docs/latest/commands/info/ */
export interface RedisFacts extends MemoryFacts {
  readonly version: string;
  readonly policy: string;
  /** True when it writes a log of its changes (AOF), which survives a crash. */
  readonly isPersistent: boolean;
}

/** Something about a Redis that an operator should mend. */
export interface RedisProblem {
  /** False: it works like this, as long as nothing happens. */
  readonly isSerious: boolean;
  readonly problem: string;
}

/** BullMQ's own minimum. */
const MIN_VERSION = [6, 2] as const;

/** Asks a Redis about itself. @throws when it does not answer. */
export async function readRedisFacts(redis: Pick<Redis, 'info'>): Promise<RedisFacts> {
  const info = await redis.info();
  return {
    version: fieldOf(info, 'redis_version'),
    policy: fieldOf(info, 'maxmemory_policy'),
    isPersistent: fieldOf(info, 'aof_enabled') === '1',
    ...memoryIn(info),
  };
}

/** The same of its memory alone, which is a smaller answer. @throws when it does not answer. */
export async function readMemoryFacts(redis: Pick<Redis, 'info'>): Promise<MemoryFacts> {
  return memoryIn(await redis.info('memory'));
}

/** What is amiss with a Redis that is to hold queues; empty when all is well. */
export function problemsOfRedis({
  version,
  policy,
  isPersistent,
  maxBytes,
}: RedisFacts): RedisProblem[] {
  const problems: RedisProblem[] = [];
  const tell = (problem: string, isSerious: boolean): void =>
    void problems.push({ isSerious, problem });
  if (isOlder(version))
    tell(`Redis ${version} is too old: ${MIN_VERSION.join('.')} is needed`, true);
  // A managed one may not tell.
  if (policy !== '' && policy !== 'noeviction')
    tell(
      `maxmemory-policy is ${policy}: it must be noeviction, or jobs vanish when memory is short`,
      true,
    );
  if (maxBytes === 0)
    tell('maxmemory is not set: nothing keeps Redis from using up its host’s memory', false);
  if (!isPersistent)
    tell('appendonly is off: a restart loses every job, and all have to be made again', false);
  return problems;
}

/** Whether this answer to `INFO` comes from a node of a cluster. */
export const isClusterNode = (info: string): boolean => fieldOf(info, 'cluster_enabled') === '1';

function memoryIn(info: string): MemoryFacts {
  const numberOf = (name: string): number => Number(fieldOf(info, name));
  const maxBytes = numberOf('maxmemory');
  const limitBytes = maxBytes || numberOf('total_system_memory') || Infinity;
  return { usedBytes: numberOf('used_memory'), maxBytes, limitBytes };
}

/** Empty when it is not told. */
const fieldOf = (info: string, name: string): string =>
  new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info)?.[1] ?? '';

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [minMajor, minMinor] = MIN_VERSION;
  return version !== '' && (major < minMajor || (major === minMajor && minor < minMinor));
}
