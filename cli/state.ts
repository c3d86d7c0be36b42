import { readOutboxState, type OutboxStateCount } from '../api/ops/outbox-state.service.js';
import { loadQueueToolConfig } from '../shared/config/config.js';
import { openJobQueue, type JobCounts } from '../shared/queues/job-queue.js';
import { connectRedis } from '../shared/queues/redis-client.js';
import { queueNames, redisUrlOf, type QueueName } from '../shared/queues/registry.js';
import { refuseArguments, type CommandResult, type Arguments, type Command } from './command.js';
import { withTools } from './tools.js';

/** How much work is waiting, and where. */
export const stateCommands: readonly Command[] = [
  { name: 'outbox', summary: 'counts the promised mails by state, with their ages', run: outbox },
  { name: 'queues', summary: 'counts the jobs of each queue by state', run: queues },
];

async function outbox(args: Arguments): Promise<CommandResult> {
  refuseArguments(args);
  return withTools(args, async (tools) => {
    const state = await readOutboxState(tools);
    const { settled_last_day: settled, ...open } = state;
    const settledText = Object.entries(settled).map(([outcome, n]) => `${n} ${outcome}`);
    return {
      lines: [
        ...Object.entries(open).map(([name, each]) => `${name.padEnd(10)}${countText(each)}`),
        `settled   within a day: ${settledText.join(', ') || 'none'}`,
      ],
      facts: { ...state },
    };
  });
}

const countText = ({ count, oldest_seconds: age }: OutboxStateCount): string =>
  `${String(count).padStart(6)}${age === null ? '' : `   oldest ${ageText(age)}`}`;

function ageText(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3_600)} h`
    : `${Math.round(seconds / 86_400)} d`;
}

async function queues(args: Arguments): Promise<CommandResult> {
  refuseArguments(args);
  const { redis } = loadQueueToolConfig(args.env);
  const counted: [QueueName, JobCounts][] = [];
  for (const name of queueNames)
    counted.push([name, await countJobs(name, redisUrlOf(name, redis))]);
  const width = Math.max(...queueNames.map((name) => name.length)) + 2;
  return {
    lines: counted.map(([name, counts]) => `${name.padEnd(width)}${countsText(counts)}`),
    facts: { queues: Object.fromEntries(counted) },
  };
}

const countsText = (counts: JobCounts): string =>
  Object.entries(counts)
    .map(([state, n]) => `${n} ${state}`)
    .join(', ');

async function countJobs(name: QueueName, url: string): Promise<JobCounts> {
  const redis = await connectRedis(url).catch((error: unknown) => {
    throw new Error(`the Redis of the queue "${name}" cannot be reached`, { cause: error });
  });
  // A lost connection fails the count, which says so.
  const queue = openJobQueue(name, redis, () => undefined);
  try {
    return await queue.counts();
  } finally {
    await queue.close();
    redis.disconnect();
  }
}
