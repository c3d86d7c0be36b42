import { promisify } from 'node:util';
import {
  brotliCompress as brotliCompressCallback,
  brotliCompressSync,
  brotliDecompress as brotliDecompressCallback,
  brotliDecompressSync,
  constants,
  crc32,
  gunzip as gunzipCallback,
  type BrotliOptions,
} from 'node:zlib';
import * as z from 'zod';
import { defineJob, type JobPayload } from '../queues/job-contract.js';

const brotliCompress = promisify(brotliCompressCallback);
const brotliDecompress = promisify(brotliDecompressCallback);
const gunzip = promisify(gunzipCallback);

/** Firehose takes at most this many records a call: PutRecordBatch, API reference. */
export const MAX_BATCH_RECORDS = 500;

/** More than any valid batch unpacks to: a bound on memory. */
const MAX_UNPACKED_BYTES = 16 * 1_024 * 1_024;

/**
 * Up to this size lines are packed and unpacked at once, in about a millisecond: to pass them to the thread pool and back
 * would take as long again, and its threads may all be hashing passwords. 500 lines of requests are 280 KiB.
 */
const MAX_BYTES_AT_ONCE = 512 * 1_024;

const MIN_CHUNK_BYTES = 64 * 1_024;

/** Brotli's fast mode: log lines get smaller than by gzip at level 1, in less than half of the time. */
const QUALITY = 1;

/** The reason with which a job of this kind fails permanently: its payload cannot be unpacked. */
export const UNREADABLE_BATCH = 'the batch cannot be unpacked';

/** Put one sealed batch of log lines on the delivery stream: one job is one PutRecordBatch. */
export const shipLogBatch = defineJob({
  queue: 'logs',
  name: 'ship-log-batch',
  schema: z.discriminatedUnion('v', [
    z.strictObject({
      v: z.literal(2),
      /** Up to 500 lines, each ending in a newline, compressed by Brotli, in base64: see `packLines` and `unpackLines`. */
      lines: z.string(),
      /** The size of the lines. */
      bytes: z.int().min(0).max(MAX_UNPACKED_BYTES),
      /** The CRC-32 of the compressed lines: Brotli has none of its own. */
      crc: z.int(),
    }),
    /** By gzip, as earlier versions packed them. */
    z.strictObject({ v: z.literal(1), lines: z.string() }),
  ]),
});

/** Packs log lines, each with its newline, into the payload of a job. */
export async function packLines(lines: Buffer): Promise<JobPayload<typeof shipLogBatch>> {
  const bytes = lines.length;
  const options: BrotliOptions = {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes,
    },
    chunkSize: MIN_CHUNK_BYTES,
  };
  const packed =
    bytes > MAX_BYTES_AT_ONCE
      ? await brotliCompress(lines, options)
      : brotliCompressSync(lines, options);
  return { v: 2, lines: packed.toString('base64'), bytes, crc: crc32(packed) };
}

/** Unpacks the lines of a job. @throws when they are damaged or more than 16 MiB. */
export async function unpackLines(payload: JobPayload<typeof shipLogBatch>): Promise<Buffer> {
  const packed = Buffer.from(payload.lines, 'base64');
  if (payload.v === 1) return gunzip(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
  const { bytes, crc } = payload;
  if (crc32(packed) !== crc) throw new Error('the lines are damaged');
  const options: BrotliOptions = {
    maxOutputLength: Math.max(bytes, 1),
    // Room for everything in one piece.
    chunkSize: Math.max(bytes + 1, MIN_CHUNK_BYTES),
  };
  return bytes > MAX_BYTES_AT_ONCE
    ? brotliDecompress(packed, options)
    : brotliDecompressSync(packed, options);
}
