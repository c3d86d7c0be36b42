import type { KeepJobs, RateLimiterOptions } from 'bullmq';

/** The Redis instances that hold queues: that of `REDIS_URL`, and that of `REDIS_URL_LOGS`, which may be the same one. */
export type RedisName = 'main' | 'logs';

/** All there is to say about one queue. */
interface QueueDefinition {
  /** What its jobs do, in one line. */
  readonly description: string;
  readonly redis: RedisName;
  /** The entry of `WORKER_ROLES` whose workers consume it. */
  readonly role: string;
  /** The readiness check that fails while Redis refuses the commands of its consumer. */
  readonly refusalCheck: `redis_refuses${string}`;
  /** Its producers add no more jobs beyond either bound. */
  readonly bounds: {
    /** Used part of the memory of its Redis, 0 to 1. */
    readonly memoryShare: number;
    /** Jobs that are not done yet. */
    readonly openJobs: number;
  };
  readonly jobs: {
    /** Attempts before a job fails for good; the pauses between them grow to 15 minutes, with full jitter. */
    readonly attempts: number;
    readonly removeOnComplete: KeepJobs | true;
    readonly removeOnFail: KeepJobs;
    /** Bytes of a job's data as JSON; a larger job is refused. */
    readonly sizeLimit: number;
  };
  /** What a consumer does not derive from the configuration. */
  readonly consumer: ConsumerDefinition;
}

/** How fast a queue is consumed and how fast a dead consumer is noticed. */
export interface ConsumerDefinition {
  /** Jobs at once, at most. */
  readonly concurrency?: number;
  /** Jobs at once after the start; each success allows one more, up to the limit. */
  readonly firstConcurrency: number;
  /** Jobs per duration over all consumers of the queue. Without one the queue cannot be throttled either. */
  readonly limiter?: RateLimiterOptions;
  /** A consumer that does not renew a job's lock for so long has lost the job. It renews its locks twice as often. */
  readonly lockDurationMs: number;
  /** How often stalled jobs are looked for. A crash delays a job by the lock's duration and twice this at most. */
  readonly stalledIntervalMs: number;
}

/**
 * Every queue. Names, roles, bounds, probes, readiness checks and the command line are derived from this list.
 *
 * A Redis that is out of memory never recovers by itself: consumers need memory to finish jobs. So logs stop well before
 * mails do, mails well before the limit, and the last quarter is left to the consumers.
 */
export const queueRegistry = {
  mail: {
    description: 'delivers outbox messages, one for each mail',
    redis: 'main',
    role: 'mail',
    refusalCheck: 'redis_refuses',
    bounds: { memoryShare: 0.75, openJobs: 10_000 },
    jobs: {
      // Time, not the count, shall end the attempts: a mail server may be down for a day, and no link lives longer. Under
      // full jitter a pause is half of its bound on average, seven and a half minutes once the bound has reached its 15,
      // so this many take some 29 hours, and less than 24 only with negligible probability. The first ten are made within
      // about ten minutes.
      attempts: 240,
      removeOnComplete: { age: 3_600, count: 1_000 },
      removeOnFail: { age: 14 * 86_400, count: 10_000 },
      sizeLimit: 8_192,
    },
    // After a worker is killed its mails go on within about 30 s: its locks expire after 20 s at the latest, and the next
    // two checks for stalled jobs find them.
    consumer: {
      // A short-lived process takes few jobs with it.
      firstConcurrency: 1,
      lockDurationMs: 20_000,
      stalledIntervalMs: 5_000,
    },
  },
  logs: {
    description: 'ships batches of log lines to Firehose',
    redis: 'logs',
    role: 'logs',
    refusalCheck: 'redis_refuses_logs',
    bounds: { memoryShare: 0.6, openJobs: 1_000 },
    jobs: {
      attempts: 50,
      removeOnComplete: true,
      // Few, since failed jobs keep all their lines and are removed only when another one fails. The producer's spool has
      // the lines as well.
      removeOnFail: { age: 7 * 86_400, count: 20 },
      sizeLimit: 2 * 1_024 * 1_024,
    },
    consumer: {
      concurrency: 4,
      firstConcurrency: 4,
      // What Firehose takes per second on one stream by default. BullMQ cannot rate-limit a queue without a limiter.
      limiter: { max: 1_000, duration: 1_000 },
      lockDurationMs: 30_000,
      stalledIntervalMs: 15_000,
    },
  },
} as const satisfies Readonly<Record<string, QueueDefinition>>;

export type QueueName = keyof typeof queueRegistry;

/** The readiness checks that fail while Redis refuses the commands of a queue's consumer. */
export type RefusalCheck = (typeof queueRegistry)[QueueName]['refusalCheck'];

/** Every queue's name, in the order of the registry. */
export const queueNames = Object.keys(queueRegistry) as readonly QueueName[];

/** Makes one value for each queue. */
export const forEachQueue = <V>(make: (name: QueueName) => V): Readonly<Record<QueueName, V>> =>
  Object.fromEntries(queueNames.map((name) => [name, make(name)])) as Record<QueueName, V>;

/** Redis keys of a queue begin with this. The braces are a hash tag: all keys of a queue are in one slot of a cluster. */
export const queuePrefix = (queue: QueueName): string => `{${queue}}`;

/** What a worker may do: consume one of the queues, or run the relay and the sweep. */
export type WorkerRole = (typeof queueRegistry)[QueueName]['role'] | 'relay';

export const workerRoles: readonly WorkerRole[] = [
  ...new Set(queueNames.map((name) => queueRegistry[name].role)),
  'relay',
];

/** Where the Redis instances are. */
export interface RedisUrls {
  readonly url: string;
  readonly logsUrl: string;
}

/** The URL of the Redis that holds a queue. */
export const redisUrlOf = (queue: QueueName, urls: RedisUrls): string =>
  urlsByName(urls)[queueRegistry[queue].redis];

/** One Redis and the queues that it holds. */
export interface RedisInstance {
  readonly name: RedisName;
  readonly url: string;
  readonly queues: readonly QueueName[];
}

/** The Redis instances with their queues; one called `main` when both URLs are the same. */
export function redisInstances(urls: RedisUrls): RedisInstance[] {
  const byUrl = new Map<string, RedisInstance>();
  for (const [name, url] of Object.entries(urlsByName(urls)) as [RedisName, string][]) {
    if (byUrl.has(url)) continue;
    const queues = queueNames.filter((queue) => redisUrlOf(queue, urls) === url);
    byUrl.set(url, { name, url, queues });
  }
  return [...byUrl.values()];
}

const urlsByName = ({ url, logsUrl }: RedisUrls): Record<RedisName, string> => ({
  main: url,
  logs: logsUrl,
});
