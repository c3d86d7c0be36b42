import { readOutboxState, type OutboxStateCount } from '../api/ops/outbox-state.service.js';
import { loadQueueToolConfig } from '../shared/config/config.js';
import { openJobQueue, type JobCounts } from '../shared/queues/job-queue.js';
import { connectRedis } from '../shared/queues/redis-client.js';
import { refuseArguments, type CommandResult, type Arguments, type Command } from './command.js';
import { withTools } from './tools.js';

/** Counts of outbox messages and jobs. */
export const stateCommands: readonly Command[] = [
  { name: 'outbox', summary: 'counts the outbox messages by state, with their ages', run: outbox },
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
  const mail = await countJobs('mail', redis.url);
  const logs = await countJobs('logs', redis.logsUrl);
  const line = (name: string, counts: JobCounts): string =>
    `${name.padEnd(6)}${Object.entries(counts)
      .map(([state, n]) => `${n} ${state}`)
      .join(', ')}`;
  return {
    lines: [line('mail', mail), line('logs', logs)],
    facts: { queues: { mail, logs } },
  };
}

async function countJobs(name: 'mail' | 'logs', url: string): Promise<JobCounts> {
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
