import { duration } from '../../../shared/duration.js';
import { DELAY_SECONDS } from '../../../shared/metrics/catalogue.js';
import type { ProcessPresence } from '../../../shared/presence/read-processes.js';
import type { MinuteHistory } from '../../../shared/metrics/read-minutes.js';
import { markup, type Html } from '../../http/page.js';
import { waitingCounts } from '../../ops/mail/outbox-trend.service.js';
import { ago, bytes, clip, count, counted, foreign } from '../layout/format.js';
import { queueState } from '../layout/queue-state.js';
import { badge, note, section, table, type Tone, type PagePart } from '../layout/parts.js';
import { clock, renderChart, renderMarks, serviceName, type Chart } from './chart.js';
import { series, type Part, type Snapshot } from './snapshot.js';
import { renderVerdict } from './verdict.js';

/** The parts of the overview, in their order. The same for everybody who may look. */
export const overviewParts = (snapshot: Snapshot): PagePart[] => [
  { id: 'verdict', html: renderVerdict(snapshot) },
  { id: 'figures', html: renderFigures(snapshot) },
  { id: 'queues', html: renderQueues(snapshot) },
  { id: 'charts-hour', html: renderCharts('hour', snapshot.hour, snapshot) },
  { id: 'charts-day', html: renderCharts('day', snapshot.day, snapshot) },
  { id: 'processes', html: renderProcesses(snapshot) },
];

interface Figure {
  readonly label: string;
  readonly value: string;
  readonly more?: string | undefined;
  readonly tone?: Tone | false;
  /** Where to see more. */
  readonly href?: string;
}

function renderFigures(snapshot: Snapshot): Html {
  const figures = [...mailFigures(snapshot), ...decisionFigures(snapshot), ...logFigures(snapshot)];
  return markup`<dl id="figures" class="figures">${figures.map(
    ({ label, value, more, tone = false, href }) =>
      markup`<div class="${tone}"><dt>${href === undefined ? label : markup`<a href="${href}">${label}</a>`}</dt><dd>${value}${more !== undefined && markup`<small>${more}</small>`}</dd></div>`,
  )}</dl>`;
}

function mailFigures({ outbox, flow, hour }: Snapshot): Figure[] {
  const { pending, enqueued } = outbox.value ?? {};
  const waiting = pending && enqueued && pending.count + enqueued.count;
  const oldest = Math.max(pending?.oldest_seconds ?? 0, enqueued?.oldest_seconds ?? 0);
  return [
    {
      label: 'Sent',
      value: shown(flow.value?.sent),
      more: `last hour${percentile90Text(hour.value, series.mailDelay)}`,
    },
    {
      label: 'Waiting',
      value: shown(waiting),
      more: waiting ? `oldest ${duration(oldest)}` : 'outbox is empty',
    },
    {
      label: 'Deferred',
      value: shown(hour.value?.sum(series.deferred)),
      more: 'retried, last hour',
    },
    { label: 'Bounced', value: shown(hour.value?.sum(series.bounced)), more: 'in the last hour' },
  ];
}

function decisionFigures({ outbox }: Snapshot): Figure[] {
  const figure = (label: string, state: 'dead' | 'uncertain', tone: Tone): Figure => {
    const n = outbox.value?.[state].count;
    return {
      label,
      value: shown(n),
      more: n ? 'waiting for a decision' : undefined,
      tone: Boolean(n) && tone,
      href: `/ops/mail/dead?state=${state}`,
    };
  };
  return [figure('Dead letters', 'dead', 'bad'), figure('Perhaps sent', 'uncertain', 'warn')];
}

function logFigures({ hour: { value: hour } }: Snapshot): Figure[] {
  const dropped = hour?.sum(series.logsDropped) ?? 0;
  return [
    {
      label: 'Log records',
      value: shown(hour?.sum(series.logsShipped)),
      more: `shipped, last hour${percentile90Text(hour, series.logLag)}`,
    },
    {
      label: 'Log spool',
      value: hour ? bytes(hour.latest(series.spoolBytes) ?? 0) : '–',
      more: dropped > 0 ? `${counted(dropped, 'line')} dropped` : 'none dropped',
      tone: dropped > 0 && 'bad',
    },
  ];
}

/** Within what time nine of ten were, as the buckets of a histogram of delays tell; empty when there were none. */
function percentile90Text(hour: MinuteHistory | undefined, buckets: readonly string[]): string {
  const counts = buckets.map((name) => hour?.sum(name) ?? 0);
  const total = counts.reduce((all, each) => all + each, 0);
  if (total === 0) return '';
  let seen = 0;
  const bound = DELAY_SECONDS[counts.findIndex((each) => (seen += each) >= 0.9 * total)];
  return bound === undefined ? ', fewer than 9 of 10 in a day' : `, 9 of 10 in ${duration(bound)}`;
}

const shown = (n: number | undefined): string => (n === undefined ? '–' : count(n));

function renderQueues({ queues: part, processes }: Snapshot): Html {
  const columns = [
    { label: 'Queue' },
    { label: 'State' },
    { label: 'Waiting', kind: 'number' },
    { label: 'Active', kind: 'number' },
    { label: 'Delayed', kind: 'number' },
    { label: 'Failed', kind: 'number' },
  ] as const;
  const rows = (part.value ?? []).map((queue) => {
    const { name, description, counts } = queue;
    return [
      markup`${name}<span class="sub">${description}</span>`,
      queueState(queue, processes.value),
      shown(counts?.waiting),
      shown(counts?.active),
      shown(counts?.delayed),
      shown(counts?.failed),
    ];
  });
  return section(
    'queues',
    'Queues',
    markup`${staleNote(part)}${table('Queues and their jobs', columns, rows, 'Nothing is known about the queues yet.')}`,
    markup`<a href="/ops/queues">Pause and resume</a>`,
  );
}

/** What a part of the page is worth when its last reading failed. */
const staleNote = ({ hasFailed, readAt }: Part<unknown>): Html | false =>
  hasFailed &&
  note(
    'warn',
    readAt
      ? markup`<p>This could not be refreshed. It was last read ${ago(readAt)}.</p>`
      : markup`<p>This could not be read.</p>`,
  );

function renderCharts(
  window: 'hour' | 'day',
  part: Part<MinuteHistory>,
  { marks }: Snapshot,
): Html {
  const title = window === 'hour' ? 'The last hour' : 'The last day';
  const id = `charts-${window}`;
  const history = part.value;
  if (!history)
    return section(
      id,
      title,
      staleNote(part) || markup`<p class="empty">Nothing is known yet.</p>`,
    );
  const common = { history, marks: marks.value ?? [] };
  const per = history.stepSeconds === 60 ? 'a minute' : `in ${history.stepSeconds / 60} min`;
  const until = window === 'hour' ? `, until ${clock(endOf(history))}` : '';
  const charts = chartsOf(history, { per, until }).map((chart) =>
    renderChart({ ...common, ...chart }),
  );
  return section(
    id,
    title,
    markup`${staleNote(part)}<div class="charts">${charts}</div>${renderMarks(common.marks, history)}`,
  );
}

/** What the charts of a window show. */
function chartsOf(
  history: MinuteHistory,
  { per, until }: { readonly per: string; readonly until: string },
): Omit<Chart, 'history' | 'marks'>[] {
  const totalOf = (names: readonly string[]): number[] =>
    history.times.map((_, i) =>
      names.reduce((all, name) => all + (history.counts(name)[i] ?? 0), 0),
    );
  const requests = totalOf(series.requests);
  const waiting = waitingCounts(history);
  const oldest = history.maxima(series.oldest);
  const greatest = (values: readonly (number | undefined)[]): number =>
    Math.max(0, ...values.map((value) => value ?? 0));
  return [
    {
      title: `Mails ${per}`,
      curves: [
        { label: 'sent', values: history.counts(series.sent) },
        { label: 'deferred', values: history.counts(series.deferred) },
        { label: 'given up', values: history.counts(series.dead) },
      ],
      format: count,
      summary: `${counted(history.sum(series.sent), 'mail')} sent, ${count(history.sum(series.deferred))} deferred, ${count(history.sum(series.dead))} given up${until}`,
    },
    {
      title: 'Mails waiting',
      curves: [{ label: 'waiting', values: waiting }],
      format: count,
      summary: `at most ${count(greatest(waiting))}${until}`,
    },
    {
      title: 'Oldest open mail',
      curves: [{ label: 'age', values: oldest }],
      format: duration,
      summary: `at most ${duration(greatest(oldest))}${until}`,
    },
    {
      title: `Requests ${per}`,
      curves: [
        { label: 'answered', values: requests },
        { label: 'failed (5xx)', values: history.counts(series.failedRequests) },
      ],
      format: count,
      summary: `${count(requests.reduce((all, n) => all + n, 0))} in all, ${count(history.sum(series.failedRequests))} failed${until}`,
    },
  ];
}

/** The end of the last point: the minutes after it are not all written yet. */
const endOf = ({ times, stepSeconds }: MinuteHistory): Date | undefined => {
  const last = times.at(-1);
  return last && new Date(last.getTime() + stepSeconds * 1_000);
};

function renderProcesses({ processes: part }: Snapshot): Html {
  const { live = [], lost = [], stopped = [] } = part.value ?? {};
  const columns = [
    { label: 'Process' },
    { label: 'State', kind: 'wide' },
    { label: 'Version', kind: 'short' },
    { label: 'Started', kind: 'short' },
    { label: 'Seen', kind: 'short' },
    { label: 'Memory', kind: 'number' },
  ] as const;
  const isRecent = ({ seenSecondsAgo }: ProcessPresence): boolean => seenSecondsAgo < 3_600;
  const rows = [
    ...live.map((each) => rowOf(each, healthOf(each))),
    ...lost
      .filter(isRecent)
      .map((each) => rowOf(each, badge('bad', 'disappeared without shutting down'))),
    ...stopped
      .filter((each) => isRecent(each) && each.exitCode !== 0)
      .map((each) =>
        rowOf(
          each,
          markup`${badge('bad', 'crashed')}<span class="sub">${foreign(each.stopReason ?? 'unknown', 300)}</span>`,
        ),
      ),
  ].slice(0, 40);
  return section(
    'processes',
    'Processes',
    markup`${staleNote(part)}${table('Processes and what they report', columns, rows, 'No process has reported yet.')}`,
    live.length > 0 && `${live.length} live`,
  );
}

function rowOf(each: ProcessPresence, state: Html): (Html | string)[] {
  const { service, roles, host, pid, version, startedAt, seenAt, memoryBytes } = each;
  return [
    markup`${serviceName(service)}${roles.length > 0 && ` (${roles.map((role) => clip(role, 20)).join(', ')})`}<span class="sub">${clip(host, 80)}, pid ${pid}</span>`,
    state,
    clip(version, 40),
    ago(startedAt),
    ago(seenAt),
    bytes(memoryBytes),
  ];
}

function healthOf({ health }: ProcessPresence): Html {
  const failing = Object.entries(health).filter(([, { ok }]) => !ok);
  if (failing.length === 0) return badge('good', 'healthy');
  return markup`${failing.map(
    ([name, { problem, since }]) =>
      markup`<div>${badge('bad', clip(name, 40))} ${problem !== undefined && foreign(problem, 300)}${since !== undefined && markup`<span class="sub">since ${ago(new Date(since))}</span>`}</div>`,
  )}`;
}
