import { readClock, type ClockReading } from '../../shared/clocks.js';
import { messageOf } from '../../shared/errors/message-of.js';
import { openJobQueue } from '../../shared/queues/job-queue.js';
import { connectRedis } from '../../shared/queues/redis-client.js';
import {
  problemsOfRedis,
  readRedisFacts,
  type RedisFacts,
} from '../../shared/queues/redis-facts.js';
import { tryWrites } from '../../shared/queues/redis-probe.js';
import { refusalOfRedis } from '../../shared/queues/redis-refusals.js';
import {
  queueRegistry,
  type QueueName,
  type RedisInstance,
  type RedisName,
} from '../../shared/queues/registry.js';
import { timeText } from '../text.js';
import { mib, type DoctorCheck, type DoctorFinding } from './checks.js';

const checkNames = {
  main: 'redis',
  logs: 'redis (logs)',
} as const satisfies Record<RedisName, DoctorCheck>;

/** What a Redis and its queues tell, and its clock if it answers. */
export interface RedisFindings {
  readonly findings: readonly DoctorFinding[];
  readonly clock: ClockReading | undefined;
}

/** A Redis as the doctor found it. */
interface RedisExam {
  readonly facts: RedisFacts;
  readonly paused: readonly DoctorFinding[];
  readonly clock: ClockReading | undefined;
}

export async function examineRedis(
  { name, url, queues }: RedisInstance,
  isProduction: boolean,
): Promise<RedisFindings> {
  const check = checkNames[name];
  let exam: RedisExam;
  try {
    exam = await askRedis(name, url, queues);
  } catch (error) {
    const refusal = refusalOfRedis(error);
    const advice =
      refusal === undefined
        ? 'Start Redis or restore the connection; mails wait in the outbox until then.'
        : 'See the runbook: Redis refuses commands. Mails wait in the outbox until then.';
    const found = refusal?.problem ?? messageOf(error);
    return { findings: [{ check, ok: false, found, advice }], clock: undefined };
  }
  const { facts, paused, clock } = exam;
  const memory = `${mib(facts.usedBytes)} MiB of ${facts.maxBytes === 0 ? 'no limit' : `${mib(facts.maxBytes)} MiB`}`;
  const found = `version ${facts.version}, ${facts.policy}, ${facts.isPersistent ? 'persistent' : 'not persistent'}, ${memory}`;
  const problems = [
    // Only production needs what is not serious.
    ...problemsOfRedis(facts)
      .filter(({ isSerious }) => isSerious || isProduction)
      .map(({ problem }) => problem),
    ...checkRoom(facts, queues),
  ];
  const own =
    problems.length === 0
      ? [{ check, ok: true, found }]
      : problems.map((advice) => ({ check, ok: false, found, advice }));
  return { findings: [...own, ...paused], clock };
}

async function askRedis(
  name: RedisName,
  url: string,
  queues: readonly QueueName[],
): Promise<RedisExam> {
  const redis = await connectRedis(url);
  try {
    await tryWrites(redis, queues);
    const facts = await readRedisFacts(redis);
    const paused = await Promise.all(queues.map((queue) => findPause(redis, queue)));
    const clock = await readClock(name === 'main' ? 'Redis' : 'Redis (logs)', async () => {
      const [seconds, micros] = await redis.time();
      return Number(seconds) * 1_000 + Number(micros) / 1_000;
    });
    return { facts, paused: paused.flat(), clock };
  } finally {
    redis.disconnect();
  }
}

/** One problem if producers may add no more jobs to any of the queues. */
function checkRoom({ usedBytes, limitBytes }: RedisFacts, queues: readonly QueueName[]): string[] {
  const usedShare = usedBytes / limitBytes;
  const stopped = queues.filter((queue) => usedShare >= queueRegistry[queue].bounds.memoryShare);
  if (stopped.length === 0) return [];
  const percent = Math.round(usedShare * 100);
  return [
    `${percent} % of its memory is used, and no jobs are added to ${stopped.join(' and ')}: see the runbook: Redis is full`,
  ];
}

async function findPause(
  redis: Awaited<ReturnType<typeof connectRedis>>,
  name: QueueName,
): Promise<DoctorFinding[]> {
  // A lost connection fails the check, which says so.
  const queue = openJobQueue(name, redis, () => undefined);
  try {
    const pause = await queue.pauseOf();
    if (!pause) return [];
    return [
      {
        check: 'queues',
        ok: false,
        found: `${name} was paused by ${pause.by} at ${timeText(pause.since)}: ${pause.reason}`,
        advice: `Its jobs wait until \`queues resume ${name}\`.`,
      },
    ];
  } finally {
    await queue.close();
  }
}
