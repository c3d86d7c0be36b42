import { duration } from '../../../shared/duration.js';
import type { OpenRedState } from '../../../shared/alerts/read-red-states.js';
import { redStates } from '../../../shared/alerts/red-states.js';
import type { MinuteHistory } from '../../../shared/metrics/read-minutes.js';
import { markup, type Html } from '../../http/page.js';
import type { OpenMessages } from '../../ops/mail/outbox-state.service.js';
import { outboxTrend, trendText } from '../../ops/mail/outbox-trend.service.js';
import { ago, clip, counted } from '../layout/format.js';
import type { Snapshot } from './snapshot.js';

/** The state of the service in a sentence. */
export interface Verdict {
  readonly status: 'good' | 'warn' | 'bad';
  readonly title: string;
  readonly summary: string;
  readonly red: readonly OpenRedState[];
}

/** Mails leave within seconds. Well before a process that was killed counts as lost. */
const WAITS_TOO_LONG_SECONDS = 60;

/** What an operator wants to know first: is mail flowing, and if not, what is wrong. */
export function judgeSnapshot(snapshot: Snapshot): Verdict {
  const { red: report, queues } = snapshot;
  const red = report.value?.red ?? [];
  const summary = summaryOf(snapshot);
  const paused = queues.value?.find(({ name }) => name === 'mail')?.paused;
  if (red.some(({ name }) => redStates[name].stopsMail))
    return { status: 'bad', title: 'Mail is not flowing', summary, red };
  if (paused) return { status: 'warn', title: 'Mail is paused by an operator', summary, red };
  if (report.value === undefined || report.hasFailed)
    return { status: 'warn', title: 'The state of the service is unknown', summary, red };
  const status = red.some(({ severity }) => severity === 'critical') ? 'bad' : 'warn';
  if (isMailWaiting(snapshot)) return { status, title: 'Mail is waiting', summary, red };
  const isQuiet = snapshot.flow.value?.sent === 0;
  const title = isQuiet ? 'Nothing is blocking mail' : 'Mail is flowing';
  return { status: red.length > 0 ? status : 'good', title, summary, red };
}

/** A mail is due for too long that nobody has tried, and no other was sent meanwhile. */
function isMailWaiting({ flow: { value } }: Snapshot): boolean {
  if ((value?.oldest_untried_seconds ?? 0) <= WAITS_TOO_LONG_SECONDS) return false;
  const lastSentAt = value?.last_sent_at?.getTime() ?? 0;
  return Date.now() - lastSentAt > WAITS_TOO_LONG_SECONDS * 1_000;
}

function summaryOf({ flow, outbox, hour }: Snapshot): string {
  if (!flow.value || !outbox.value)
    return 'How many mails are sent could not be read from PostgreSQL.';
  const { sent, median_seconds: median } = flow.value;
  const sentText =
    sent === 0 ? 'No mail in the last hour' : `${counted(sent, 'mail')} in the last hour`;
  const within = sent === 1 ? 'within' : 'half of them within';
  const medianText = median === null ? '' : `, ${within} ${duration(median)}`;
  return `${sentText}${medianText}, ${waitText(outbox.value, hour.value)}.`;
}

function waitText(open: OpenMessages, hour: MinuteHistory | undefined): string {
  const { pending, enqueued } = open;
  const waiting = pending.count + enqueued.count;
  const oldest = Math.max(pending.oldest_seconds ?? 0, enqueued.oldest_seconds ?? 0);
  if (waiting === 0) return 'none is waiting';
  if (oldest < 10) return `none waiting longer than ${duration(Math.max(1, oldest))}`;
  const trend = hour && outboxTrend(hour, open);
  const trendSentence = trend ? `. The backlog is ${trendText(trend)}` : '';
  return `${counted(waiting, 'is', 'are')} waiting, the oldest for ${duration(oldest)}${trendSentence}`;
}

/** The verdict with what is red, each with its section of the runbook. */
export function renderVerdict(snapshot: Snapshot): Html {
  const verdict = judgeSnapshot(snapshot);
  const faults = verdict.red.map(
    ({ title, detail, section, since, severity }) => markup`<li>
<span><span class="badge ${severity === 'critical' ? 'bad' : 'warn'}">${title}</span>${since && markup` <span class="soft small">since ${ago(since)}</span>`}</span>
<span class="detail" dir="auto">${clip(detail, 500)}</span>
<a href="/ops/runbook#${section}">What to do</a>
</li>`,
  );
  return markup`<section id="verdict" class="verdict ${verdict.status}" aria-labelledby="verdict-title">
<h1 id="verdict-title">${verdict.title}</h1>
<p>${verdict.summary}</p>
${faults.length > 0 && markup`<ul class="faults">${faults}</ul>`}
</section>`;
}
