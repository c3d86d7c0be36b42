import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { queueState } from '../../api/console/layout/queue-state.js';
import { renderMarks } from '../../api/console/overview/chart.js';
import type { Snapshot } from '../../api/console/overview/snapshot.js';
import { judgeSnapshot } from '../../api/console/overview/verdict.js';
import { renderSchedule } from '../../api/console/schedule/schedule.pages.js';
import type { OpenMessages } from '../../api/ops/mail/outbox-state.service.js';
import { outboxTrend, trendText } from '../../api/ops/mail/outbox-trend.service.js';
import type { QueueReport } from '../../api/ops/queues.service.js';
import type { ScheduledTask } from '../../api/ops/schedule.service.js';
import { projectRoot } from '../../dev/paths.js';
import type { OpenRedState } from '../../shared/alerts/read-red-states.js';
import type { MinuteHistory } from '../../shared/metrics/read-minutes.js';
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

test('a backlog falls, grows or is steady by the counts of the last ten minutes', (t) => {
  const said = (counts: Readonly<Record<number, number>>, waiting = 1_000): string | undefined => {
    const trend = outboxTrend(historyOf(counts), openOf(waiting));
    return trend && trendText(trend);
  };
  const falling = 'falling: empty in about 25 min at the rate of the last 10 min';
  t.is(said({ 0: 1_400, 10: 1_000 }), falling);
  t.is(said({ 0: 1_400, 5: 90_000, 10: 1_000 }), falling, 'from the first to the last');
  t.is(said({ 4: 1_200, 10: 960 }), falling.replace('last 10', 'last 6'), 'as far as is known');
  t.is(said({ 0: 100, 10: 22_600 }), 'growing by 2,250 a minute');
  t.is(said({ 0: 1_000, 10: 1_004 }), 'steady');
  t.is(said({ 0: 1_400, 10: 1_000 }, 0), undefined, 'nothing waits any more');
  t.is(said({ 6: 1_400, 10: 1_000 }), undefined, 'four minutes are too few');
  t.is(said({ 0: 100_000, 10: 100_000 }), undefined, 'more are not counted');
});

test('the overview says in a sentence whether the backlog falls', (t) => {
  const { summary } = judgeSnapshot({
    ...snapshotOf(null, 90, []),
    outbox: { value: openOf(1_000) },
    hour: { value: historyOf({ 0: 1_400, 10: 1_000 }) },
  } as unknown as Snapshot);
  t.is(
    summary,
    '5 mails in the last hour, half of them within 1 s, 1,000 are waiting, the oldest for 12 min. ' +
      'The backlog is falling: empty in about 25 min at the rate of the last 10 min.',
  );
});

test('of a single mail the overview says how long it took', (t) => {
  const one = { sent: 1, median_seconds: 0.2, last_sent_at: secondsAgo(9) };
  const { summary } = judgeSnapshot({
    ...snapshotOf(null, 9, []),
    flow: { value: { ...one, oldest_untried_seconds: null } },
    outbox: { value: openOf(0) },
    hour: { value: undefined },
  } as unknown as Snapshot);
  t.is(summary, '1 mail in the last hour, within 0.2 s, none is waiting.');
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

test('the bar of the console breaks into two lines where its texts are too wide', async (t) => {
  const css = await readFile(join(projectRoot, 'api/console/assets/console.css'), 'utf8');
  t.regex(css, /\n\.bar-in \{\n {2}display: flex;\n {2}flex-wrap: wrap;/);
});

/** Of the minutes that are given, counted from ten minutes ago. */
function historyOf(counts: Readonly<Record<number, number>>): MinuteHistory {
  const times = Array.from({ length: 60 }, (_, i) => secondsAgo(60 * (60 - i)));
  const maxima = (name: string): (number | undefined)[] =>
    times.map((_, i) => {
      const count = counts[i - 49];
      return name.includes('enqueued') ? count && 0 : count;
    });
  return { times, stepSeconds: 60, maxima } as unknown as MinuteHistory;
}

const openOf = (waiting: number): OpenMessages => {
  const none = { count: 0, oldest_seconds: null };
  const pending = { count: waiting, oldest_seconds: 720 };
  return { pending, scheduled: none, enqueued: none, dead: none, uncertain: none };
};

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
