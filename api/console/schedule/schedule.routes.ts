import { Router } from 'express';
import * as z from 'zod';
import { duration } from '../../../shared/duration.js';
import { taskNames, type TaskName } from '../../../shared/tasks/catalogue.js';
import { markup, type Html } from '../../http/page.js';
import { parse } from '../../http/input/validate.js';
import { readSchedule, requestTask, type ScheduledTask } from '../../ops/schedule.service.js';
import { mayAct, operatorCause, requireWriter } from '../access/operator.js';
import { Answer } from '../access/fields.js';
import type { ConsoleDeps } from '../console-deps.js';
import { sendConsolePage } from '../layout/console-page.js';
import { ago, clip, count, foreign } from '../layout/format.js';
import { badge, section, table } from '../layout/parts.js';
import { sendQuestion } from '../layout/question.js';
import { wantsJson } from '../layout/wanted.js';

const TaskInput = z.object({ task: z.enum(taskNames as [TaskName, ...TaskName[]]) });

/** The periodic tasks: when each ran last, with what result, and running one now. */
export function scheduleRoutes(deps: ConsoleDeps): Router {
  const router = Router();

  router.get('/schedule', async (req, res) => {
    const tasks = await readSchedule(deps);
    if (wantsJson(req)) {
      res.json(tasks);
      return;
    }
    sendConsolePage(req, res, {
      title: 'Schedule',
      section: 'schedule',
      live: 'page=schedule',
      lead: 'Workers with the role relay run these by themselves.',
      body: renderSchedule(tasks, mayAct(req)),
    });
  });

  router.get('/schedule/:task/run', requireWriter, async (req, res) => {
    const { task } = parse(TaskInput, req.params);
    const found = (await readSchedule(deps)).find((each) => each.task === task);
    sendQuestion(req, res, {
      title: `Run ${task} now?`,
      section: 'schedule',
      text: markup`<p>It ${found?.does}. A worker with the role relay starts it within about five seconds, once.</p>`,
      action: `/ops/schedule/${task}/run`,
      button: 'Run it',
      back: '/ops/schedule',
    });
  });
  router.post('/schedule/:task/run', async (req, res) => {
    const { task } = parse(TaskInput, req.params);
    const { reason } = parse(Answer, req.body);
    await requestTask(deps, task, operatorCause(req, reason));
    if (wantsJson(req)) res.status(202).json(await readSchedule(deps));
    else res.redirect(303, '/ops/schedule');
  });
  return router;
}

/** The table of the tasks; live updates replace it. */
export function renderSchedule(tasks: readonly ScheduledTask[], mayRun: boolean): Html {
  const columns = [
    { label: 'Task', kind: 'wide' },
    { label: 'Last result', kind: 'wide' },
    { label: 'Every', kind: 'short' },
    { label: 'Last run', kind: 'short' },
    { label: 'Took', kind: 'short' },
    ...(mayRun ? ([{ label: 'Action', kind: 'action' }] as const) : []),
  ] as const;
  const rows = tasks.map((task) => [
    markup`${task.task}<span class="sub">${task.does}</span>`,
    resultOf(task),
    duration(task.every_seconds),
    ago(task.started_at),
    task.duration_ms === null ? '–' : duration(task.duration_ms / 1_000),
    ...(mayRun
      ? [
          markup`<a class="button quiet small" href="/ops/schedule/${task.task}/run">Run now…<span class="hidden"> ${task.task}</span></a>`,
        ]
      : []),
  ]);
  return section('schedule', 'Periodic tasks', table('Periodic tasks', columns, rows));
}

function resultOf({
  outcome,
  result,
  error,
  started_at,
  requested_at,
  worker,
  is_overdue,
}: ScheduledTask): Html {
  const before = markup`${requested_at && markup`<div>${badge('idle', 'requested')} ${ago(requested_at)}</div>`}${is_overdue && markup`<div>${badge('warn', 'overdue')}</div>`}`;
  if (outcome === 'failed')
    return markup`${before}${badge('bad', 'failed')}<span class="sub">${foreign(error ?? 'unknown', 300)}</span>`;
  if (outcome === null)
    return markup`${before}${started_at ? badge('idle', 'running') : badge('idle', 'has not run yet')}`;
  const counts = Object.entries(result ?? {})
    .filter(([, n]) => n !== 0)
    .map(([name, n]) => `${count(n)} ${clip(name, 60).replaceAll('_', ' ')}`)
    .join(', ');
  return markup`${before}${badge(is_overdue ? 'idle' : 'good', 'completed')}<span class="sub">${counts || 'nothing to do'}${worker !== null && ` · by ${clip(worker, 80)}`}</span>`;
}
