import * as z from 'zod';
import { defineJob } from '../queues/job-contract.js';

/** Firehose takes at most this many records a call: PutRecordBatch, API reference. */
export const MAX_BATCH_RECORDS = 500;

/** The failure of a job whose data are not what the producer packed. */
export const UNREADABLE_BATCH = 'the batch cannot be unpacked';

/** Put one sealed batch of log lines on the delivery stream: one job is one PutRecordBatch. */
export const shipLogBatch = defineJob({
  queue: 'logs',
  name: 'ship-log-batch',
  schema: z.strictObject({
    v: z.literal(1),
    /** Up to 500 lines, each ending in a newline, gzipped, in base64: see `packLines` and `unpackLines`. */
    lines: z.base64(),
  }),
});
