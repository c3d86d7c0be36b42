import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { queueState } from '../../api/console/layout/queue-state.js';
import { renderMarks } from '../../api/console/overview/chart.js';
import type { Snapshot } from '../../api/console/overview/snapshot.js';
import { judgeSnapshot } from '../../api/console/overview/verdict.js';
import { renderSchedule } from '../../api/console/schedule/schedule.pages.js';
import type { QueueReport } from '../../api/ops/queues.service.js';
import type { ScheduledTask } from '../../api/ops/schedule.service.js';
import { projectRoot } from '../../dev/paths.js';
import type { OpenRedState } from '../../shared/alerts/read-red-states.js';
import type { Processes } from '../../shared/presence/read-processes.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const secondsAgo = (seconds: number): Date => new Date(Date.now() - seconds * 1_000);

test('mail that nobody has tried for a minute is told of, unless others are sent', (t) => {
  const judged = (untried: number | null, sentSecondsAgo: number, red: object[] = []) => {
    const { status, title } = judgeSnapshot(snapshotOf(untried, sentSecondsAgo, red));
    return [status, title];
  };
  t.deepEqual(judged(null, 90), ['good', 'Mail is flowing']);
  t.deepEqual(judged(59, 90), ['good', 'Mail is flowing']);
  t.deepEqual(judged(61, 30), ['good', 'Mail is flowing'], 'a backlog that is worked off');
  t.deepEqual(judged(61, 90), ['warn', 'Mail is waiting']);
  const dead = { name: 'dead_letters', severity: 'critical' };
  t.deepEqual(judged(61, 90, [dead]), ['bad', 'Mail is waiting']);
  t.deepEqual(judged(null, 90, [dead]), ['bad', 'Mail is flowing']);
  const relay = { name: 'outbox_not_relayed', severity: 'critical' };
  t.deepEqual(judged(300, 300, [relay]), ['bad', 'Mail is not flowing']);
});

test('a queue without a live worker of its role says so, the more so when jobs wait', (t) => {
  const stateOf = (waiting: number, roles: readonly string[] | undefined): string =>
    queueState(reportOf(waiting), roles && processesWith(roles)).text;
  t.is(stateOf(3, ['mail', 'logs']), '<span class="badge good">running</span>');
  t.is(stateOf(3, ['mail']), '<span class="badge warn">no worker consumes it</span>');
  t.is(stateOf(0, ['mail']), '<span class="badge idle">no worker consumes it</span>');
  t.is(stateOf(3, undefined), '<span class="badge good">running</span>', 'not known');
});

test('a task that has not run for three intervals is marked as overdue', (t) => {
  const textOf = (isOverdue: boolean): string => renderSchedule([taskOf(isOverdue)], false).text;
  t.regex(textOf(false), /badge good">completed</);
  t.notRegex(textOf(false), /overdue/);
  t.regex(textOf(true), /badge warn">overdue</);
  t.regex(textOf(true), /badge idle">completed</);
});

test('the legend of the deployments has a style outside of the charts', async (t) => {
  const marks = [{ service: 'rollcall-api', version: '1', startedAt: secondsAgo(60) }];
  const history = {
    times: [secondsAgo(120), secondsAgo(0)],
    stepSeconds: 120,
  } as unknown as Parameters<typeof renderMarks>[1];
  t.regex(renderMarks(marks, history).text, /<ul class="key marks"><li><svg.*class="mark"/);
  const css = await readFile(join(projectRoot, 'api/console/assets/console.css'), 'utf8');
  t.regex(css, /\n\.key \.mark \{\n {2}stroke:/);
});

/** What the verdict reads. */
const snapshotOf = (untried: number | null, sentSecondsAgo: number, red: object[]): Snapshot =>
  ({
    flow: {
      value: {
        sent: 5,
        median_seconds: 1,
        last_sent_at: secondsAgo(sentSecondsAgo),
        oldest_untried_seconds: untried,
      },
    },
    outbox: { value: undefined },
    queues: { value: [] },
    red: { value: { red: red as OpenRedState[] }, hasFailed: false },
  }) as unknown as Snapshot;

const reportOf = (waiting: number): QueueReport => ({
  name: 'logs',
  description: '',
  counts: { waiting, delayed: 0, active: 0, completed: 9, failed: 9 },
  paused: null,
  throttled_until: null,
  problem: null,
});

const processesWith = (roles: readonly string[]) => ({ live: [{ roles }] }) as unknown as Processes;

const taskOf = (isOverdue: boolean): ScheduledTask => ({
  task: 'sweep-outbox',
  does: '',
  every_seconds: 30,
  is_overdue: isOverdue,
  started_at: secondsAgo(9),
  finished_at: secondsAgo(8),
  duration_ms: 1_000,
  worker: 'host:1',
  outcome: 'completed',
  result: {},
  error: null,
  requested_at: null,
});
