import { setTimeout as delay } from 'node:timers/promises';
import type { JobPayload } from '../../shared/queues/job-contract.js';
import { packLines, type shipLogBatch } from '../../shared/jobs/ship-log-batch.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Receipts } from '../../shared/queues/receipts.js';
import type { DependencyFaults } from '../jobs/dependency-faults.js';
import { JobReturned, QueueThrottled } from '../jobs/job-effects.js';
import type { JobContext, Processor } from '../jobs/run-job.js';
import { planCalls, recordsOf } from './log-batch.js';
import { SinkFailure, type RecordSink } from './record-sink.port.js';

export interface ShipLogBatchDeps {
  readonly sink: RecordSink;
  /** Whoever wrote the lines keeps them until it finds the receipt. */
  readonly receipts: Pick<Receipts, 'write' | 'find'>;
  readonly faults: DependencyFaults;
  /** Must not ship what it is told: a line about a batch would become part of the next. */
  readonly localLog: Logger;
}

const TRIES_PER_RECORD = 4;
const RETRY_BASE_MS = 200;
const MAX_RETRY_MS = 800;
const MIN_REST_MS = 1_000;
const MAX_REST_MS = 5_000;
const MISCONFIGURED_REST_MS = 60_000;
/** Refused one by one before any was taken: no need to ask about the other hundreds. */
const MAX_REFUSED_BEFORE_TAKEN = 10;

/** What has become of a batch in this try, kept up to date with every call, so that no failure forgets it. */
interface Progress {
  /** Not on the stream. */
  readonly left: Set<Buffer>;
  /** Refused although alone in their call, and why. */
  readonly refused: Map<Buffer, string>;
  hasTaken: boolean;
}

/**
 * Puts one batch of log lines on the stream. Only what was not taken is tried again, here a few times and then by the
 * next try of the job. A record that can never be taken is left out and logged; the others are not held up by it. While
 * the stream takes nothing at all, its settings are to blame, and nothing is left out. A batch that the stream has gets
 * its receipt before its job is done.
 */
export function createShipLogBatch(
  deps: ShipLogBatchDeps,
): Processor<JobPayload<typeof shipLogBatch>> {
  return async (payload, context) => {
    if (context.signal.aborted) throw new JobReturned();
    if (await hasReceipt(deps, context.jobId)) return 'already';
    const records = await recordsOf(payload);
    const { calls, oversize } = planCalls(records);
    for (const record of oversize) tellLeftOut(deps, record, 'is too large');
    context.annotate({ 'labels.records': records.length });

    const progress: Progress = {
      left: new Set(calls.flat()),
      refused: new Map(),
      hasTaken: false,
    };
    try {
      for (const call of calls) await putWithPatience(deps.sink, call, progress, context.signal);
      if (!progress.hasTaken) blameSettings(progress);
    } catch (error) {
      leaveOutRefused(deps, progress);
      if (progress.left.size < records.length)
        await context.replaceData(await packLines(Buffer.concat([...progress.left])));
      throw effectOf(error, deps.faults, context);
    }
    leaveOutRefused(deps, progress);
    if (progress.hasTaken) deps.faults.clear('firehose');
    await writeReceipt(deps, context.jobId);
    return 'shipped';
  };
}

/** True if an earlier try got as far as the receipt, and died before its job was done. */
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

/** Without its receipt a batch is shipped again; failing the job would do that at once, and more than once. */
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

/** Puts records until each is taken or refused. @throws when the tries are used up, or a call fails. */
async function putWithPatience(
  sink: RecordSink,
  records: readonly Buffer[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  let open = records;
  for (let tries = 1; ; tries++) {
    await putIsolating(sink, open, progress, signal);
    open = open.filter((record) => progress.left.has(record) && !progress.refused.has(record));
    if (open.length === 0) return;
    // What has not been taken stays in the job when the process ends meanwhile.
    if (tries === TRIES_PER_RECORD || signal.aborted) {
      const message = `${open.length} records were not taken`;
      // A stream that takes nothing of anybody is an outage, however politely it answers.
      throw progress.hasTaken ? new Error(message) : new SinkFailure('unavailable', message);
    }
    await delay(Math.random() * Math.min(RETRY_BASE_MS * 2 ** tries, MAX_RETRY_MS));
  }
}

/** One call; if something in it is invalid, halves, down to the record that is refused by itself. */
async function putIsolating(
  sink: RecordSink,
  records: readonly Buffer[],
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  try {
    const notTaken = new Set(await sink.put(records, signal));
    for (const [position, record] of records.entries())
      if (!notTaken.has(position)) progress.left.delete(record);
    progress.hasTaken ||= notTaken.size < records.length;
    return;
  } catch (error) {
    if (!(error instanceof SinkFailure) || error.effect !== 'invalid') throw error;
    if (records.length === 1) {
      for (const record of records) progress.refused.set(record, error.message);
      if (!progress.hasTaken && progress.refused.size >= MAX_REFUSED_BEFORE_TAKEN)
        blameSettings(progress);
      return;
    }
  }
  const half = Math.ceil(records.length / 2);
  await putIsolating(sink, records.slice(0, half), progress, signal);
  await putIsolating(sink, records.slice(half), progress, signal);
}

/**
 * A stream that has another source, say, refuses every record in the same words as a bad one.
 * @throws {SinkFailure} `misconfigured` if any was refused.
 */
function blameSettings({ refused }: Progress): void {
  for (const reason of refused.values()) throw new SinkFailure('misconfigured', reason);
}

/** Leaves out what was refused by a stream that has taken others; without such a proof it stays in the batch. */
function leaveOutRefused(deps: ShipLogBatchDeps, { left, refused, hasTaken }: Progress): void {
  if (!hasTaken) return;
  for (const [record, reason] of refused) {
    left.delete(record);
    tellLeftOut(deps, record, reason);
  }
}

function tellLeftOut({ localLog }: ShipLogBatchDeps, record: Buffer, reason: string): void {
  localLog.error({ 'event.reason': reason, 'labels.bytes': record.length }, 'log record skipped');
}

function effectOf(error: unknown, faults: DependencyFaults, { signal }: JobContext): unknown {
  if (signal.aborted) return new JobReturned();
  if (!(error instanceof SinkFailure)) return error;
  if (error.effect === 'misconfigured') {
    faults.raise('firehose', error.message);
    return new QueueThrottled(error.message, MISCONFIGURED_REST_MS, { cause: error });
  }
  const pauseMs = MIN_REST_MS + Math.random() * (MAX_REST_MS - MIN_REST_MS);
  return new QueueThrottled(error.message, Math.round(pauseMs), { cause: error });
}
