import { outboxTrend } from '../../ops/mail/outbox-trend.service.js';
import { series, type Part, type Snapshot } from './snapshot.js';
import { judgeSnapshot } from './verdict.js';

/** The overview as data: what the page shows, with the time at which each part was read. */
export function overviewView(snapshot: Snapshot) {
  const { status, title, summary, red } = judgeSnapshot(snapshot);
  const { outbox, flow, queues, processes, hour, marks } = snapshot;
  return {
    status,
    title,
    summary,
    red,
    outbox: part(outbox),
    outbox_trend: (hour.value && outbox.value && outboxTrend(hour.value, outbox.value)) ?? null,
    mail_flow: part(flow),
    queues: part(queues),
    processes: part(processes),
    last_hour: hour.value && {
      from: hour.value.times[0],
      step_seconds: hour.value.stepSeconds,
      sent: hour.value.counts(series.sent),
      deferred: hour.value.counts(series.deferred),
      dead: hour.value.counts(series.dead),
      failed_requests: hour.value.counts(series.failedRequests),
      oldest_open_seconds: hour.value.maxima(series.oldest).map((value) => value ?? null),
    },
    deployments: part(marks),
  };
}

const part = <T>({ value, readAt, hasFailed }: Part<T>) => ({
  value: value ?? null,
  read_at: readAt ?? null,
  is_stale: hasFailed,
});
