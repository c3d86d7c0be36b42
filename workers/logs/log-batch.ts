import type { JobPayload } from '../../shared/queues/job-contract.js';
import {
  MAX_BATCH_RECORDS,
  UNREADABLE_BATCH,
  unpackLines,
  type shipLogBatch,
} from '../../shared/jobs/ship-log-batch.js';
import { PermanentFailure } from '../jobs/job-effects.js';

/** Limits of PutRecordBatch: https://docs.aws.amazon.com/firehose/latest/dev/limits.html */
const MAX_CALL_BYTES = 4 * 1_024 * 1_024;
const MAX_RECORD_BYTES = 1_000 * 1_024;

const NEWLINE = 0x0a;
const LINE_END = Buffer.of(NEWLINE);

/** The records of a batch: its lines, each with its newline. @throws {PermanentFailure} when the payload is unreadable. */
export async function recordsOf(payload: JobPayload<typeof shipLogBatch>): Promise<Buffer[]> {
  try {
    return splitLines(await unpackLines(payload));
  } catch (error) {
    throw new PermanentFailure(UNREADABLE_BATCH, { cause: error });
  }
}

/** Splits records into calls within Firehose's limits, and sorts out those that are too large for any call. */
export function planCalls(records: readonly Buffer[]): { calls: Buffer[][]; oversize: Buffer[] } {
  const oversize = records.filter((record) => record.length > MAX_RECORD_BYTES);
  const calls: Buffer[][] = [];
  let bytes = Infinity;
  for (const record of records) {
    if (record.length > MAX_RECORD_BYTES) continue;
    const call = calls.at(-1);
    if (call && call.length < MAX_BATCH_RECORDS && bytes + record.length <= MAX_CALL_BYTES) {
      call.push(record);
      bytes += record.length;
    } else {
      calls.push([record]);
      bytes = record.length;
    }
  }
  return { calls, oversize };
}

/** Skips empty lines, and adds a missing newline at the end. */
function splitLines(text: Buffer): Buffer[] {
  const lines: Buffer[] = [];
  for (let start = 0; start < text.length;) {
    const newline = text.indexOf(NEWLINE, start);
    const end = newline < 0 ? text.length : newline;
    if (end > start) {
      const hasNewline = newline >= 0;
      lines.push(
        hasNewline
          ? text.subarray(start, end + 1)
          : Buffer.concat([text.subarray(start), LINE_END]),
      );
    }
    start = end + 1;
  }
  return lines;
}
