import { setTimeout as delay } from 'node:timers/promises';
import type { JobPayload } from '../../shared/queues/job-contract.js';
import { packLines, type shipLogBatch } from '../../shared/jobs/ship-log-batch.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import type { Receipts } from '../../shared/queues/receipts.js';
import { MISCONFIGURED_PAUSE_MS, type DependencyFaults } from '../jobs/dependency-faults.js';
import {
  JobDelayed,
  JobReturned,
  QueueThrottled,
  QueueThrottledJobDelayed,
} from '../jobs/job-effects.js';
import type { JobContext, Processor } from '../jobs/run-job.js';
import { within } from '../../shared/tracing/open-span.js';
import type { Tracer } from '../../shared/tracing/tracer.js';
import { openBatchSpan, tracedSink } from './batch-spans.js';
import { planCalls, recordsOf } from './log-batch.js';
import { SinkFailure, type RecordSink, type Refusal } from './record-sink.port.js';

export interface ShipLogBatchDeps {
  readonly sink: RecordSink;
  /** The process that wrote the lines keeps them until it finds the receipt. */
  readonly receipts: Pick<Receipts, 'write' | 'find'>;
  readonly faults: DependencyFaults;
  readonly metrics: Pick<Metrics, 'count' | 'observe'>;
  /** Does not ship: a line about a batch would become part of the next. */
  readonly localLog: Logger;
  readonly tracer?: Tracer | undefined;
}

const ATTEMPTS_PER_RECORD = 4;
const RETRY_BASE_MS = 200;
const MAX_RETRY_MS = 800;
const MIN_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 5_000;
/** A job whose attempts are used up is tried again this often while its records may be free of fault. */
const LAST_ATTEMPT_EVERY_MS = 15 * 60_000;
/** A stream that has accepted nothing for so long may itself be what refuses a record. */
const ACCEPTS_WITHIN_MS = 15 * 60_000;
/** Rejected one by one before any was accepted: the stream is misconfigured, no need to try hundreds more. */
const MAX_REJECTED_BEFORE_ACCEPTED = 10;

/** The state of a batch during one attempt of its job, updated with every call so that no failure loses it. */
interface Progress {
  /** Not on the stream yet. */
  readonly remaining: Set<Buffer>;
  /** Rejected although alone in their call, with the reason. */
  readonly rejected: Map<Buffer, string>;
  /** Not accepted by the last call that they were in, although it was answered. */
  readonly refused: Map<Buffer, Omit<Refusal, 'position'>>;
  readonly startedMs: number;
  hasAccepted: boolean;
}

/** What is known of the stream across batches. */
interface StreamHealth {
  /** When it last accepted a record, of whatever batch. */
  lastAcceptedMs: number;
}

/**
 * Puts one batch of log lines on the stream. Only records that were not accepted are put again, here a few times and
 * then by the job's next attempt. Records that are refused in an answered call delay their own job alone, and in its last
 * attempt they are skipped, unless the stream was too busy for them. A record that the stream rejects permanently is skipped
 * and logged, and does not hold up the others. A stream that accepts nothing at all is taken for misconfigured, and nothing
 * is skipped. A batch gets its receipt when all of it is on the stream, before its job completes.
 */
export function createShipLogBatch(
  deps: ShipLogBatchDeps,
): Processor<JobPayload<typeof shipLogBatch>> {
  const health: StreamHealth = { lastAcceptedMs: -Infinity };
  const sink = watchedSink(deps.sink, health);
  return async (payload, context) => {
    if (context.signal.aborted) throw new JobReturned();
    if (await hasReceipt(deps, context.jobId)) return 'already';
    const records = await recordsOf(payload);
    const span = openBatchSpan(deps.tracer, context.jobId, records);
    return within(span, () =>
      shipBatch({ ...deps, sink: tracedSink(sink, span) }, health, records, context),
    );
  };
}

/** The sink, noting when it accepts records. */
const watchedSink = (sink: RecordSink, health: StreamHealth): RecordSink => ({
  async put(records, signal) {
    const refusals = await sink.put(records, signal);
    if (refusals.length < records.length) health.lastAcceptedMs = performance.now();
    return refusals;
  },
  close: () => sink.close(),
});

async function shipBatch(
  deps: ShipLogBatchDeps,
  health: StreamHealth,
  records: readonly Buffer[],
  context: JobContext,
): Promise<string> {
  const { calls, oversize } = planCalls(records);
  for (const record of oversize) logSkipped(deps, record, 'is too large');
  context.annotate({ 'labels.records': records.length });

  const progress: Progress = {
    remaining: new Set(calls.flat()),
    rejected: new Map(),
    refused: new Map(),
    startedMs: performance.now(),
    hasAccepted: false,
  };
  try {
    for (const call of calls) await putWithRetries(deps.sink, call, progress, context.signal);
    if (!progress.hasAccepted) throwIfRejected(progress);
    settleRefused(deps, health, progress, context);
  } catch (error) {
    skipRejected(deps, progress);
    const effect = effectOf(error, deps.faults, context);
    if (progress.remaining.size < records.length) await keepRemaining(deps, progress, context);
    throw effect;
  }
  skipRejected(deps, progress);
  if (progress.hasAccepted) deps.faults.clear('firehose');
  recordLag(deps, records[0]);
  await writeReceipt(deps, context.jobId);
  return 'shipped';
}

/** So that the next attempt ships these only. The batch's own failure matters more than one of Redis. */
async function keepRemaining(
  { localLog }: ShipLogBatchDeps,
  { remaining }: Progress,
  context: JobContext,
): Promise<void> {
  try {
    await context.replaceData(await packLines(Buffer.concat([...remaining])));
  } catch (error) {
    localLog.warn({ err: error }, 'accepted records not taken out of the batch');
  }
}

const TIMESTAMP = /"@timestamp":"([^"]{1,40})"/;
const MAX_TIMESTAMP_BYTES = 500;

/** How old the oldest line of a batch is now that all of it is on the stream. */
function recordLag({ metrics }: ShipLogBatchDeps, oldest: Buffer | undefined): void {
  const beginning = oldest?.toString('latin1', 0, MAX_TIMESTAMP_BYTES) ?? '';
  const writtenAt = Date.parse(TIMESTAMP.exec(beginning)?.[1] ?? '');
  if (!Number.isFinite(writtenAt)) return;
  metrics.observe('rollcall_log_lag_seconds', Math.max(0, Date.now() - writtenAt) / 1_000);
}

/** True if an earlier attempt wrote the receipt and ended before its job completed. */
async function hasReceipt(
  { receipts, localLog }: ShipLogBatchDeps,
  jobId: string,
): Promise<boolean> {
  try {
    return (await receipts.find([jobId])).has(jobId);
  } catch (error) {
    localLog.warn(
      { err: error, 'labels.job_id': jobId },
      'receipt lookup failed; batch may be shipped twice',
    );
    return false;
  }
}

/** Never throws: a failed job would ship the batch again at once and repeatedly, a missing receipt does so once. */
async function writeReceipt(
  { receipts, localLog }: ShipLogBatchDeps,
  jobId: string,
): Promise<void> {
  try {
    await receipts.write(jobId);
  } catch (error) {
    localLog.warn(
      { err: error, 'labels.job_id': jobId },
      'receipt write failed; batch may be shipped twice',
    );
  }
}

/** Puts records until each is accepted or rejected, or has been refused several times. @throws when a call fails. */
async function putWithRetries(
  sink: RecordSink,
  records: readonly Buffer[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  let open = records;
  for (let attempt = 1; ; attempt++) {
    await putIsolating(sink, open, progress, signal);
    open = open.filter(
      (record) => progress.remaining.has(record) && !progress.rejected.has(record),
    );
    if (open.length === 0) return;
    // At shutdown the remaining records stay in the job.
    if (attempt === ATTEMPTS_PER_RECORD || signal.aborted) return;
    await delay(Math.random() * Math.min(RETRY_BASE_MS * 2 ** attempt, MAX_RETRY_MS));
  }
}

/** Makes one call. If the sink calls it invalid, puts its halves, down to the single record that is rejected. */
async function putIsolating(
  sink: RecordSink,
  records: readonly Buffer[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  try {
    const refusals = new Map(
      (await sink.put(records, signal)).map((refusal) => [refusal.position, refusal]),
    );
    for (const [position, record] of records.entries()) {
      const refusal = refusals.get(position);
      if (refusal) {
        progress.refused.set(record, refusal);
      } else {
        progress.refused.delete(record);
        progress.remaining.delete(record);
      }
    }
    progress.hasAccepted ||= refusals.size < records.length;
    return;
  } catch (error) {
    if (!(error instanceof SinkFailure) || error.effect !== 'invalid') throw error;
    if (records.length === 1) {
      for (const record of records) {
        progress.refused.delete(record);
        progress.rejected.set(record, error.message);
      }
      if (!progress.hasAccepted && progress.rejected.size >= MAX_REJECTED_BEFORE_ACCEPTED)
        throwIfRejected(progress);
      return;
    }
  }
  const half = Math.ceil(records.length / 2);
  await putIsolating(sink, records.slice(0, half), progress, signal);
  await putIsolating(sink, records.slice(half), progress, signal);
}

/**
 * A misconfigured stream (one with another source, say) rejects every record with the error of a bad record.
 * @throws {SinkFailure} `misconfigured` if any record was rejected.
 */
function throwIfRejected({ rejected }: Progress): void {
  const [reason] = rejected.values();
  if (reason !== undefined) throw new SinkFailure('misconfigured', reason);
}

/**
 * What follows from records that were refused in answered calls. It concerns them alone, unless a fresh batch is throttled
 * whole and the stream accepts no other meanwhile.
 * @throws unless none is left: all have been skipped, or there were none.
 */
function settleRefused(
  deps: ShipLogBatchDeps,
  health: StreamHealth,
  { refused, remaining, startedMs }: Progress,
  { signal, isFirstAttempt, isLastAttempt }: JobContext,
): void {
  if (refused.size === 0) return;
  if (signal.aborted) throw new JobReturned();
  const refusals = [...refused.values()];
  const reasons = new Set(refusals.map(({ reason }) => reason));
  const message = `${refused.size} records were not taken: ${[...reasons].join(', ')}`;
  const isThrottled = refusals.every(({ isThrottling }) => isThrottling);
  if (isThrottled && isFirstAttempt && health.lastAcceptedMs < startedMs) {
    // Another batch goes first when the pause is over: the stream may be busy for these records only.
    const pause = pauseMs();
    throw new QueueThrottledJobDelayed(message, pause, 2 * pause);
  }
  if (!isLastAttempt) throw new Error(message);
  // A failed job would be packed again whole, and double what was accepted of it.
  if (performance.now() - health.lastAcceptedMs > ACCEPTS_WITHIN_MS)
    throw new JobDelayed(message, LAST_ATTEMPT_EVERY_MS);
  for (const [record, { reason, isThrottling }] of refused) {
    if (isThrottling) continue;
    refused.delete(record);
    remaining.delete(record);
    logSkipped(deps, record, reason);
  }
  if (refused.size > 0) throw new JobDelayed(message, LAST_ATTEMPT_EVERY_MS);
}

/** Skips rejected records if the stream has accepted others; otherwise they stay in the batch. */
function skipRejected(
  deps: ShipLogBatchDeps,
  { remaining, rejected, hasAccepted }: Progress,
): void {
  if (!hasAccepted) return;
  for (const [record, reason] of rejected) {
    remaining.delete(record);
    logSkipped(deps, record, reason);
  }
}

function logSkipped({ localLog, metrics }: ShipLogBatchDeps, record: Buffer, reason: string): void {
  metrics.count('rollcall_firehose_records_total', { result: 'skipped' });
  localLog.error({ 'event.reason': reason, 'labels.bytes': record.length }, 'log record skipped');
}

function effectOf(error: unknown, faults: DependencyFaults, { signal }: JobContext): unknown {
  if (signal.aborted) return new JobReturned();
  if (!(error instanceof SinkFailure)) return error;
  if (error.effect === 'misconfigured') {
    faults.raise('firehose', error.message);
    return new QueueThrottled(error.message, MISCONFIGURED_PAUSE_MS, { cause: error });
  }
  return new QueueThrottled(error.message, pauseMs(), { cause: error });
}

const pauseMs = (): number =>
  Math.round(MIN_PAUSE_MS + Math.random() * (MAX_PAUSE_MS - MIN_PAUSE_MS));
