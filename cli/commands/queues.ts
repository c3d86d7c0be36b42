import {
  pauseQueue,
  readQueueReports,
  resumeQueue,
  type QueueReport,
} from '../../api/ops/queues.service.js';
import { loadQueueToolConfig } from '../../shared/config/config.js';
import { openJobQueue, type JobCounts, type JobQueue } from '../../shared/queues/job-queue.js';
import { connectRedis } from '../../shared/queues/redis-client.js';
import { refusalOfRedis } from '../../shared/queues/redis-refusals.js';
import { queueNames, redisUrlOf, type QueueName } from '../../shared/queues/registry.js';
import type { Arguments, ArgumentSpec, Command, CommandResult } from '../command.js';
import { timeText } from '../text.js';
import { causeOfCommand, reasonOption, withTools } from '../tools.js';

const nameArgument: ArgumentSpec = {
  name: 'NAME',
  summary: 'the name of the queue',
  values: queueNames,
};

/** The queues in Redis. */
export const queueCommands: readonly Command[] = [
  {
    name: 'queues',
    summary:
      'counts the jobs of each queue by state; shows who paused it, and until when it is throttled',
    run: list,
  },
  {
    name: 'queues pause',
    arguments: [nameArgument],
    options: [reasonOption],
    summary: 'pauses a queue: jobs in progress finish, and no others start',
    run: pause,
  },
  {
    name: 'queues resume',
    arguments: [nameArgument],
    options: [reasonOption],
    summary: 'resumes a queue that an operator has paused',
    run: resume,
  },
];

async function list(args: Arguments): Promise<CommandResult> {
  const reports = await withQueues(args, (queues) => readQueueReports({ queues }));
  const lost = reports.find(({ counts }) => counts === null);
  if (lost) throw new Error(`the Redis of the queue "${lost.name}" ${lost.problem?.slice(6)}`);
  const width = Math.max(...queueNames.map((name) => name.length)) + 2;
  return {
    lines: reports.flatMap((report) => [
      `${report.name.padEnd(width)}${countsText(report.counts)}`,
      ...statesOf(report).map((state) => `${' '.repeat(width)}${state}`),
    ]),
    facts: {
      queues: Object.fromEntries(
        reports.map(({ name, counts, paused, throttled_until }) => [
          name,
          { ...counts, paused, throttled_until },
        ]),
      ),
    },
  };
}

const countsText = (counts: JobCounts | null): string =>
  Object.entries(counts ?? {})
    .map(([state, n]) => `${n} ${state}`)
    .join(', ');

function statesOf({ paused, throttled_until: throttledUntil }: QueueReport): string[] {
  return [
    ...(paused ? [`PAUSED by ${paused.by} since ${timeText(paused.since)}: ${paused.reason}`] : []),
    ...(throttledUntil ? [`throttled until ${timeText(throttledUntil)}, after a failure`] : []),
  ];
}

async function pause(args: Arguments): Promise<CommandResult> {
  const name = nameOf(args);
  const cause = causeOfCommand(args);
  await withTools(args, (tools) =>
    withQueues(args, (queues) => pauseQueue({ ...tools, queues }, name, cause)),
  );
  return {
    lines: [`the queue ${name} is paused until \`queues resume ${name}\``],
    facts: { queue: name, paused: true },
  };
}

async function resume(args: Arguments): Promise<CommandResult> {
  const name = nameOf(args);
  const cause = causeOfCommand(args);
  const wasPaused = await withTools(args, (tools) =>
    withQueues(args, (queues) => resumeQueue({ ...tools, queues }, name, cause)),
  );
  return {
    lines: [wasPaused ? `the queue ${name} runs again` : `the queue ${name} was not paused`],
    facts: { queue: name, paused: false, was_paused: wasPaused },
  };
}

/** The parser admits no other word. */
const nameOf = ({ words }: Arguments): QueueName => words[0] as QueueName;

type Queues = Readonly<Record<QueueName, JobQueue>>;

/** Opens every queue for a command. @throws when a Redis cannot be reached. */
async function withQueues<T>({ env }: Arguments, work: (queues: Queues) => Promise<T>): Promise<T> {
  const { redis } = loadQueueToolConfig(env);
  const opened: { queue: JobQueue; close(): Promise<void> }[] = [];
  try {
    for (const name of queueNames) opened.push(await openQueue(name, redisUrlOf(name, redis)));
    return await work(
      Object.fromEntries(queueNames.map((name, i) => [name, opened[i]?.queue])) as Queues,
    );
  } finally {
    for (const { close } of opened) await close();
  }
}

async function openQueue(name: QueueName, url: string) {
  const redis = await connectRedis(url).catch((error: unknown) => {
    const problem = refusalOfRedis(error)?.problem ?? 'cannot be reached';
    throw new Error(`the Redis of the queue "${name}" ${problem}`, { cause: error });
  });
  // A lost connection fails the command, which says so.
  const queue: JobQueue = openJobQueue(name, redis, () => undefined);
  return {
    queue,
    async close() {
      await queue.close();
      redis.disconnect();
    },
  };
}
