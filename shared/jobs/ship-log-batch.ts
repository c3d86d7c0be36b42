import { promisify } from 'node:util';
import {
  gunzip as gunzipCallback,
  gunzipSync,
  gzip as gzipCallback,
  gzipSync,
  type ZlibOptions,
} from 'node:zlib';
import * as z from 'zod';
import { defineJob, type JobPayload } from '../queues/job-contract.js';

const gunzip = promisify(gunzipCallback);
const gzip = promisify(gzipCallback);

/** Firehose takes at most this many records a call: PutRecordBatch, API reference. */
export const MAX_BATCH_RECORDS = 500;

/** More than any valid batch unpacks to: a bound on memory. */
const MAX_UNPACKED_BYTES = 16 * 1_024 * 1_024;

/**
 * Up to this size lines are packed and unpacked at once, in about a millisecond: to pass them to the thread pool and back
 * would take as long again, and its threads may all be hashing passwords.
 */
const MAX_BYTES_AT_ONCE = 256 * 1_024;

const GZIP: ZlibOptions = { level: 1, chunkSize: 64 * 1_024 };
const MIN_CHUNK_BYTES = 64 * 1_024;
const MAX_CHUNK_BYTES = 2 * 1_024 * 1_024;

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
  const packed = lines.length > MAX_BYTES_AT_ONCE ? await gzip(lines, GZIP) : gzipSync(lines, GZIP);
  return { v: 1, lines: packed.toString('base64') };
}

/** Unpacks the lines of a job. @throws when they are damaged (RFC 1952: CRC and length) or more than 16 MiB. */
export async function unpackLines({ lines }: JobPayload<typeof shipLogBatch>): Promise<Buffer> {
  const packed = Buffer.from(lines, 'base64');
  const bytes = unpackedBytes(packed);
  const options: ZlibOptions = {
    maxOutputLength: MAX_UNPACKED_BYTES,
    // Room for everything in one piece.
    chunkSize: Math.min(Math.max(bytes + 1, MIN_CHUNK_BYTES), MAX_CHUNK_BYTES),
  };
  return bytes > MAX_BYTES_AT_ONCE ? gunzip(packed, options) : gunzipSync(packed, options);
}

/** What a packed batch says of its size (RFC 1952: ISIZE, the last four bytes); false if it is damaged. */
const unpackedBytes = (packed: Buffer): number =>
  packed.length < 4 ? 0 : packed.readUInt32LE(packed.length - 4);
