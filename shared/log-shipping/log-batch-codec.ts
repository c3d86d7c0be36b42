import { promisify } from 'node:util';
import { gunzip as gunzipCallback, gzip as gzipCallback } from 'node:zlib';
import type { JobPayload } from '../queues/job-contract.js';
import type { shipLogBatch } from '../jobs/ship-log-batch.js';

const gunzip = promisify(gunzipCallback);
const gzip = promisify(gzipCallback);

/** No honest batch unpacks to more. */
const MAX_UNPACKED_BYTES = 16 * 1_024 * 1_024;

/** Log lines, each with its newline, as the job that ships them. */
export async function packLines(lines: Buffer): Promise<JobPayload<typeof shipLogBatch>> {
  return { v: 1, lines: (await gzip(lines, { level: 1 })).toString('base64') };
}

/** The lines as they were packed. @throws when they are not whole (RFC 1952: CRC and length), or more than 16 MiB. */
export function unpackLines({ lines }: JobPayload<typeof shipLogBatch>): Promise<Buffer> {
  return gunzip(Buffer.from(lines, 'base64'), { maxOutputLength: MAX_UNPACKED_BYTES });
}
