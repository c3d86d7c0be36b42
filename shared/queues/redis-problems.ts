import type { Redis } from 'ioredis';

/** Something about a Redis that an operator should mend. */
export interface RedisProblem {
  /** Jobs can't be relied on until it is mended. */
  readonly isSerious: boolean;
  readonly problem: string;
}

/** BullMQ's own minimum. */
const MIN_VERSION = [6, 2] as const;

/**
 * Looks at what queues need of a Redis: its version, that it never evicts a key, that it has a memory limit and writes
 * its data to disk. Empty when all is well. @throws when Redis does not answer.
 */
export async function problemsOf(redis: Pick<Redis, 'info'>): Promise<RedisProblem[]> {
  const [server, memory, persistence] = await Promise.all(
    ['server', 'memory', 'persistence'].map((section) => redis.info(section)),
  );
  const field = (info: string | undefined, name: string): string =>
    new RegExp(`^${name}:([^\\r\\n]*)`, 'm').exec(info ?? '')?.[1] ?? '';
  const version = field(server, 'redis_version');
  const policy = field(memory, 'maxmemory_policy');
  const problems: RedisProblem[] = [];
  const tell = (problem: string, isSerious = false): void =>
    void problems.push({ isSerious, problem });

  if (isOlder(version))
    tell(`Redis ${version} is too old: ${MIN_VERSION.join('.')} is needed`, true);
  if (policy !== '' && policy !== 'noeviction')
    tell(
      `maxmemory-policy is ${policy}: it must be noeviction, or jobs vanish when memory is short`,
      true,
    );
  if (field(memory, 'maxmemory') === '0')
    tell('maxmemory is not set: nothing keeps Redis from using up the memory of its host');
  if (field(persistence, 'aof_enabled') === '0')
    tell('appendonly is off: a restart loses every job, and the sweep has to make them again');
  return problems;
}

/** A version that does not say what it is, as that of a service may, is not held against it. */
function isOlder(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [minMajor, minMinor] = MIN_VERSION;
  return version !== '' && (major < minMajor || (major === minMajor && minor < minMinor));
}
