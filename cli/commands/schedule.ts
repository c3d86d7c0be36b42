import { readSchedule, requestTask, type ScheduledTask } from '../../api/ops/schedule.service.js';
import { duration } from '../../shared/duration.js';
import { taskNames, type TaskName } from '../../shared/tasks/catalogue.js';
import type { Arguments, Command, CommandResult } from '../command.js';
import { timeText } from '../text.js';
import { causeOfCommand, reasonOption, withTools } from '../tools.js';

/** What runs periodically. */
export const scheduleCommands: readonly Command[] = [
  {
    name: 'schedule',
    summary: 'lists what runs periodically, and how its last run ended',
    run: show,
  },
  {
    name: 'schedule run',
    arguments: [{ name: 'TASK', summary: 'the name of the task', values: taskNames }],
    options: [reasonOption],
    summary: 'requests a run of a task; a worker starts it within seconds',
    run: request,
  },
];

async function show(args: Arguments): Promise<CommandResult> {
  return withTools(args, async (tools) => {
    const tasks = await readSchedule(tools);
    return { lines: tasks.flatMap(describe), facts: { tasks } };
  });
}

function describe(task: ScheduledTask): string[] {
  return [
    `${task.task}, every ${duration(task.every_seconds)}: ${task.does}`,
    `  ${lastRunOf(task)}`,
    ...(task.is_overdue ? ['  OVERDUE: its last run ended more than three intervals ago'] : []),
    ...(task.error === null ? [] : [`  ${task.error}`]),
    ...(task.requested_at === null ? [] : [`  run requested at ${timeText(task.requested_at)}`]),
  ];
}

function lastRunOf({ started_at, duration_ms, worker, outcome, result }: ScheduledTask): string {
  if (started_at === null) return 'has not run yet';
  const counts = Object.entries(result ?? {}).map(
    ([name, n]) => `${n} ${name.replaceAll('_', ' ')}`,
  );
  const found = counts.length > 0 ? `: ${counts.join(', ')}` : '';
  return `${outcome ?? 'began'} at ${timeText(started_at)}, in ${duration_ms ?? 0} ms, by ${worker ?? 'unknown'}${found}`;
}

async function request(args: Arguments): Promise<CommandResult> {
  const task = args.words[0] as TaskName;
  const cause = causeOfCommand(args);
  await withTools(args, (tools) => requestTask(tools, task, cause));
  return {
    lines: [`requested ${task}: a worker with the role relay starts it within seconds`],
    facts: { task, requested: true },
  };
}
