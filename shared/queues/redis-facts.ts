import type { Redis } from 'ioredis';

/** What a Redis says of itself: https://redis.io/docs/latest/commands/info/ */
export interface RedisFacts {
  readonly version: string;
  readonly policy: string;
  /** True when it writes a log of its changes (AOF), which survives a crash. */
  readonly isPersistent: boolean;
  readonly usedBytes: number;
  /** 0 is no limit. */
  readonly maxBytes: number;
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
  const read = (name: string): string =>
    new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info)?.[1] ?? '';
  return {
    version: read('redis_version'),
    policy: read('maxmemory_policy'),
    isPersistent: read('aof_enabled') === '1',
    usedBytes: Number(read('used_memory')),
    maxBytes: Number(read('maxmemory')),
  };
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

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [minMajor, minMinor] = MIN_VERSION;
  return version !== '' && (major < minMajor || (major === minMajor && minor < minMinor));
}
