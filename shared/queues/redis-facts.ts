import type { Redis } from 'ioredis';

/** The memory of a Redis. */
export interface MemoryFacts {
  readonly usedBytes: number;
  /** `maxmemory`; 0: no limit. */
  readonly maxBytes: number;
  /** `maxmemory`, or the host's memory where no limit is set; infinite if neither is reported. */
  readonly limitBytes: number;
}

/** State and settings of a Redis: https://redis.io/docs/latest/commands/info/ */
export interface RedisFacts extends MemoryFacts {
  readonly version: string;
  readonly policy: string;
  /** True with an append-only file (AOF), which survives a crash. */
  readonly isPersistent: boolean;
}

/** A setting of a Redis that an operator should correct. */
export interface RedisProblem {
  /** False: it works, but data may be lost in an incident. */
  readonly isSerious: boolean;
  readonly problem: string;
}

/** BullMQ's own minimum. */
const MIN_VERSION = [6, 2] as const;

/** Reads state and settings. @throws when it does not answer. */
export async function readRedisFacts(redis: Pick<Redis, 'info'>): Promise<RedisFacts> {
  const info = await redis.info();
  return {
    version: fieldOf(info, 'redis_version'),
    policy: fieldOf(info, 'maxmemory_policy'),
    isPersistent: fieldOf(info, 'aof_enabled') === '1',
    ...memoryIn(info),
  };
}

/** Reads only the memory, in a smaller answer. @throws when it does not answer. */
export async function readMemoryFacts(redis: Pick<Redis, 'info'>): Promise<MemoryFacts> {
  return memoryIn(await redis.info('memory'));
}

/** What is wrong with a Redis that is to hold queues; empty when all is well. */
export function problemsOfRedis({
  version,
  policy,
  isPersistent,
  maxBytes,
}: RedisFacts): RedisProblem[] {
  const problems: RedisProblem[] = [];
  const report = (problem: string, isSerious: boolean): void =>
    void problems.push({ isSerious, problem });
  if (isOlder(version))
    report(`Redis ${version} is too old: ${MIN_VERSION.join('.')} is needed`, true);
  // A managed Redis may not report its policy.
  if (policy !== '' && policy !== 'noeviction')
    report(
      `maxmemory-policy is ${policy}: it must be noeviction, or Redis evicts jobs when memory is short`,
      true,
    );
  if (maxBytes === 0) report('maxmemory is not set: Redis may use up its host’s memory', false);
  if (!isPersistent)
    report('appendonly is off: a restart loses every job, and all must be enqueued again', false);
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

/** Empty when the field is missing. */
const fieldOf = (info: string, name: string): string =>
  info
    .split(/\r?\n/)
    .find((line) => line.startsWith(`${name}:`))
    ?.slice(name.length + 1) ?? '';

function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [minMajor, minMinor] = MIN_VERSION;
  return version !== '' && (major < minMajor || (major === minMajor && minor < minMinor));
}
