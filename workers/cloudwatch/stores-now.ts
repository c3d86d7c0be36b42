import { metricDefinitions, type MetricName } from '../../shared/metrics/catalogue.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import type { QueueName } from '../../shared/queues/registry.js';

/** A queue as Redis has it. */
export interface QueueNow {
  readonly waiting: number;
  readonly delayed: number;
  readonly isPaused: boolean;
  readonly throttledSeconds: number;
}

type OutboxState = 'pending' | 'enqueued' | 'dead' | 'uncertain';

/** The outbox as PostgreSQL has it. */
export interface OutboxNow {
  readonly messages: Readonly<Record<OutboxState, number>>;
  /** How long the oldest has been due, or enqueued, without an attempt. */
  readonly oldestSeconds: number;
}

/** What the registry of metrics reads when it is asked; `undefined` for what did not answer within a second. */
export interface StoresNow {
  readonly outbox: OutboxNow | undefined;
  queue(name: QueueName): QueueNow | undefined;
}

const wanted = [
  'rollcall_outbox_messages',
  'rollcall_outbox_oldest_seconds',
  'rollcall_queue_jobs',
  'rollcall_queue_paused',
  'rollcall_queue_throttled_seconds',
] as const satisfies readonly MetricName[];

/** Reads the outbox and the queues as a scrape would. Never rejects. */
export async function readStores(metrics: Pick<Metrics, 'read'>): Promise<StoresNow> {
  const definitions = new Set(wanted.map((name) => metricDefinitions[name]));
  const all = await metrics.read((definition) => definitions.has(definition));
  const valueOf = (
    name: (typeof wanted)[number],
    labels: Readonly<Record<string, string>>,
  ): number | undefined =>
    all
      .find((each) => each.name === name)
      ?.series.find((each) =>
        Object.entries(labels).every(([label, value]) => each.labels[label] === value),
      )?.value;
  const messages = (state: OutboxState): number =>
    valueOf('rollcall_outbox_messages', { state }) ?? 0;
  const oldest = (state: 'pending' | 'untried'): number =>
    valueOf('rollcall_outbox_oldest_seconds', { state }) ?? 0;
  const isOutboxKnown = valueOf('rollcall_outbox_messages', { state: 'pending' }) !== undefined;
  return {
    outbox: isOutboxKnown
      ? {
          messages: {
            pending: messages('pending'),
            enqueued: messages('enqueued'),
            dead: messages('dead'),
            uncertain: messages('uncertain'),
          },
          oldestSeconds: Math.max(oldest('pending'), oldest('untried')),
        }
      : undefined,
    queue(queue) {
      const waiting = valueOf('rollcall_queue_jobs', { queue, state: 'waiting' });
      if (waiting === undefined) return undefined;
      return {
        waiting,
        delayed: valueOf('rollcall_queue_jobs', { queue, state: 'delayed' }) ?? 0,
        isPaused: valueOf('rollcall_queue_paused', { queue }) === 1,
        throttledSeconds: valueOf('rollcall_queue_throttled_seconds', { queue }) ?? 0,
      };
    },
  };
}
