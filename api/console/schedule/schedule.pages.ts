import { duration } from '../../../shared/duration.js';
import { markup, type Html } from '../../http/page.js';
import type { ScheduledTask } from '../../ops/schedule.service.js';
import { ago, clip, count, foreign } from '../layout/format.js';
import { badge, section, table } from '../layout/parts.js';

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
