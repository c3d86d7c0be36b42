import { promisify } from 'node:util';
import { gunzip as gunzipCallback, gzip as gzipCallback } from 'node:zlib';
import * as z from 'zod';
import { defineJob, type JobPayload } from '../queues/job-contract.js';

const gunzip = promisify(gunzipCallback);
const gzip = promisify(gzipCallback);

/** Firehose takes at most this many records a call: PutRecordBatch, API reference. */
export const MAX_BATCH_RECORDS = 500;

/** More than any valid batch unpacks to: a bound on memory. */
const MAX_UNPACKED_BYTES = 16 * 1_024 * 1_024;

/** The reason with which a job of this kind fails permanently: its payload cannot be unpacked. */
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

/** Packs log lines, each with its newline, into the payload of a job. */
export async function packLines(lines: Buffer): Promise<JobPayload<typeof shipLogBatch>> {
  return { v: 1, lines: (await gzip(lines, { level: 1 })).toString('base64') };
}

/** Unpacks the lines of a job. @throws when they are damaged (RFC 1952: CRC and length) or more than 16 MiB. */
export function unpackLines({ lines }: JobPayload<typeof shipLogBatch>): Promise<Buffer> {
  return gunzip(Buffer.from(lines, 'base64'), { maxOutputLength: MAX_UNPACKED_BYTES });
}
