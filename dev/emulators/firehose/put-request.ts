import { AwsError } from './aws-error.js';

/** A PutRecord or PutRecordBatch call within the limits of the service. */
export interface PutRequest {
  readonly operation: 'PutRecord' | 'PutRecordBatch';
  readonly stream: string;
  /** Decoded from base64, in the order of the call. */
  readonly records: readonly Buffer[];
  readonly bytes: number;
}

/** The limits of the service: https://docs.aws.amazon.com/firehose/latest/dev/limits.html */
const limits = {
  recordsPerCall: 500,
  /** Of one record, before base64. */
  recordBytes: 1_024_000,
  /** Of all records of a call, before base64. */
  callBytes: 4 * 1024 * 1024,
} as const;

const targetPrefix = 'Firehose_20150804.';
const streamNamePattern = /^[a-zA-Z0-9_.-]{1,64}$/;
const signaturePattern =
  /^AWS4-HMAC-SHA256 Credential=[^/\s,]+\/\d{8}\/[a-z0-9-]+\/([a-z0-9-]+)\/aws4_request, ?SignedHeaders=[a-z0-9;-]+, ?Signature=[0-9a-f]{64}$/;

/** Checks that a call has a Signature Version 4 for this service. The signature is not verified: there is no shared secret. */
export function checkAuthorization(header: string | undefined): void {
  if (header === undefined) {
    throw new AwsError(403, 'MissingAuthenticationTokenException', 'Missing Authentication Token');
  }
  const match = signaturePattern.exec(header);
  if (match === null) {
    throw new AwsError(
      400,
      'IncompleteSignatureException',
      'The Authorization header is not a complete AWS4-HMAC-SHA256 signature.',
    );
  }
  if (match[1] !== 'firehose') {
    throw new AwsError(
      403,
      'InvalidSignatureException',
      "Credential should be scoped to correct service: 'firehose'.",
    );
  }
}

/**
 * Parses a call from its `x-amz-target` and body.
 * @throws {AwsError} as the service would: ValidationException for a value that exceeds a limit, InvalidArgumentException
 * for a call that is too large in total.
 */
export function parsePutRequest(target: string | undefined, body: Buffer): PutRequest {
  const operation = operationOf(target);
  const input = parseJson(body);
  const stream = streamOf(input);
  const entries = operation === 'PutRecord' ? [input['Record']] : batchOf(input);
  const records = entries.map((entry, index) =>
    decode(entry, operation === 'PutRecord' ? 'record' : `records.${index + 1}.member`),
  );
  const bytes = records.reduce((sum, record) => sum + record.length, 0);
  if (bytes > limits.callBytes) {
    throw new AwsError(400, 'InvalidArgumentException', 'Records size exceeds 4 MB limit');
  }
  return { operation, stream, records, bytes };
}

function operationOf(target: string | undefined): PutRequest['operation'] {
  const operation = target?.startsWith(targetPrefix)
    ? target.slice(targetPrefix.length)
    : undefined;
  if (operation === 'PutRecord' || operation === 'PutRecordBatch') return operation;
  throw new AwsError(400, 'UnknownOperationException', `Unknown operation: ${target ?? '(none)'}`);
}

function parseJson(body: Buffer): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'));
    if (isRecord(parsed)) return parsed;
  } catch {
    // Answered below, like JSON that is not an object.
  }
  throw new AwsError(400, 'SerializationException', 'The body is not a JSON object.');
}

function streamOf(input: Record<string, unknown>): string {
  const name = input['DeliveryStreamName'];
  if (typeof name !== 'string') throw constraint('deliveryStreamName', 'Member must not be null');
  if (streamNamePattern.test(name)) return name;
  throw constraint(
    'deliveryStreamName',
    'Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+, and have length between 1 and 64',
  );
}

function batchOf(input: Record<string, unknown>): unknown[] {
  const records = input['Records'];
  if (!Array.isArray(records)) throw constraint('records', 'Member must not be null');
  if (records.length < 1) {
    throw constraint('records', 'Member must have length greater than or equal to 1');
  }
  if (records.length > limits.recordsPerCall) {
    throw constraint(
      'records',
      `Member must have length less than or equal to ${limits.recordsPerCall}`,
    );
  }
  return records;
}

function decode(entry: unknown, where: string): Buffer {
  const data = isRecord(entry) ? entry['Data'] : undefined;
  if (data === undefined || data === null)
    throw constraint(`${where}.data`, 'Member must not be null');
  const record = Buffer.from(typeof data === 'string' ? data : '', 'base64');
  // Node's decoder skips invalid characters: then encoding the result gives another text.
  if (record.toString('base64') !== data) {
    throw new AwsError(
      400,
      'SerializationException',
      `The value at '${where}.data' is not base64.`,
    );
  }
  if (record.length > limits.recordBytes) {
    throw constraint(
      `${where}.data`,
      `Member must have length less than or equal to ${limits.recordBytes}`,
    );
  }
  return record;
}

function constraint(path: string, rule: string): AwsError {
  return new AwsError(
    400,
    'ValidationException',
    `1 validation error detected: Value at '${path}' failed to satisfy constraint: ${rule}`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
