import { setTimeout as delay } from 'node:timers/promises';
import type { JobPayload } from '../../shared/jobs/define-job.js';
import type { shipLogBatch } from '../../shared/jobs/index.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Receipts } from '../../shared/queues/receipts.js';
import type { FaultBoard } from '../fault-board.js';
import { JobHandedBack, QueueThrottled } from '../job-effects.js';
import type { JobContext, Processor } from '../start-worker.js';
import { packBatch, planCalls, unpackBatch } from './log-batch.js';
import { SinkFailure, type RecordSink } from './record-sink.port.js';

/** What shipping is made of. */
export interface ShipLogBatchDeps {
  readonly sink: RecordSink;
  /** Whoever wrote the lines keeps them until it finds the receipt. */
  readonly receipts: Pick<Receipts, 'write'>;
  readonly faults: FaultBoard;
  /** Must not ship what it is told: a line about a batch would become part of the next. */
  readonly localLog: Logger;
}

const TRIES_PER_RECORD = 4;
const RETRY_BASE_MS = 200;
const MAX_RETRY_MS = 800;
const MIN_REST_MS = 1_000;
const MAX_REST_MS = 5_000;
const MISCONFIGURED_REST_MS = 60_000;

/**
 * Puts one batch of log lines on the stream. Only what was not taken is tried again, here a few times and then by the
 * next try of the job. A record that can never be taken is left out and logged; the others are not held up by it. A
 * batch that the stream has gets its receipt before its job is done.
 */
export function createShipLogBatch(
  deps: ShipLogBatchDeps,
): Processor<JobPayload<typeof shipLogBatch>> {
  return async (payload, context) => {
    if (context.signal.aborted) throw new JobHandedBack();
    const records = await unpackBatch(payload);
    const { calls, oversize } = planCalls(records);
    leaveOut(deps, oversize, 'is too large');
    context.annotate({ 'labels.records': records.length });

    let rest = calls.flat();
    try {
      for (const call of calls) {
        const notTaken = await putWithPatience(deps, call, context.signal);
        rest = [...notTaken, ...rest.slice(call.length)];
        if (notTaken.length > 0) throw new Error(`${notTaken.length} records were not taken`);
      }
    } catch (error) {
      if (rest.length < records.length) await context.replaceData(await packBatch(rest));
      throw effectOf(error, deps.faults, context);
    }
    deps.faults.clear('firehose');
    await writeReceipt(deps, context.jobId);
    return 'shipped';
  };
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
      'a shipped batch has no receipt; it may be shipped again',
    );
  }
}

/** Puts records until all are taken or the tries are used up; resolves to those that are left. */
async function putWithPatience(
  deps: ShipLogBatchDeps,
  records: readonly Buffer[],
  signal: AbortSignal,
): Promise<readonly Buffer[]> {
  let left = records;
  for (let tries = 1; ; tries++) {
    left = await putIsolating(deps, left, signal);
    if (left.length === 0 || tries === TRIES_PER_RECORD) return left;
    const pauseMs = Math.random() * Math.min(RETRY_BASE_MS * 2 ** tries, MAX_RETRY_MS);
    // What has not been taken stays in the job when the process ends meanwhile.
    if (signal.aborted) return left;
    await delay(pauseMs);
  }
}

/** One call; if something in it is invalid, halves, down to the record that is to blame. Resolves to what is left. */
async function putIsolating(
  deps: ShipLogBatchDeps,
  records: readonly Buffer[],
  signal: AbortSignal,
): Promise<readonly Buffer[]> {
  try {
    const positions = await deps.sink.put(records, signal);
    return positions.flatMap((position) => records[position] ?? []);
  } catch (error) {
    if (!(error instanceof SinkFailure) || error.effect !== 'invalid') throw error;
    if (records.length === 1) {
      leaveOut(deps, records, error.message);
      return [];
    }
  }
  const half = Math.ceil(records.length / 2);
  const first = await putIsolating(deps, records.slice(0, half), signal);
  return [...first, ...(await putIsolating(deps, records.slice(half), signal))];
}

function leaveOut(
  { localLog }: ShipLogBatchDeps,
  records: readonly Buffer[],
  reason: string,
): void {
  for (const record of records) {
    localLog.error(
      { 'event.reason': reason, 'labels.bytes': record.length },
      'a log record can never be shipped and is left out',
    );
  }
}

function effectOf(error: unknown, faults: FaultBoard, { signal }: JobContext): unknown {
  if (signal.aborted) return new JobHandedBack();
  if (!(error instanceof SinkFailure)) return error;
  if (error.effect === 'misconfigured') {
    faults.raise('firehose', error.message);
    return new QueueThrottled(error.message, MISCONFIGURED_REST_MS, { cause: error });
  }
  const restMs = MIN_REST_MS + Math.random() * (MAX_REST_MS - MIN_REST_MS);
  return new QueueThrottled(error.message, Math.round(restMs), { cause: error });
}
