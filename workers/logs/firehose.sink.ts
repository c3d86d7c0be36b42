import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { FirehoseClient } from '@aws-sdk/client-firehose';
import * as z from 'zod';
import type { WorkerConfig } from '../../shared/config/config.js';
import { messageOf } from '../../shared/errors/message-of.js';
import { createPutRecordBatch } from './put-record-batch.js';
import {
  SinkFailure,
  type RecordSink,
  type Refusal,
  type SinkFailureEffect,
} from './record-sink.port.js';

/** The stream, its region and the credentials. */
export type FirehoseConfig = NonNullable<WorkerConfig['firehose']>;

const CONNECT_TIMEOUT_MS = 2_000;
const REQUEST_TIMEOUT_MS = 10_000;
const MAX_ATTEMPTS_PER_CALL = 3;

/** PutRecordBatch, API reference: one entry per record, in the order of the request. */
const PutRecordBatchOutput = z.object({
  FailedPutCount: z.int().min(0),
  RequestResponses: z.array(z.unknown()),
});

/** An entry; read only if any record failed. */
const RecordResponse = z.object({ ErrorCode: z.string().nullish() });

/** Codes of records that a busy stream answers with: ServiceUnavailableException, and those of other services. */
const THROTTLING =
  /ServiceUnavailable|Throttl|LimitExceeded|ThroughputExceeded|TooManyRequests|Slow/i;

const ServiceError = z.object({
  name: z.string(),
  $metadata: z.object({ httpStatusCode: z.number().optional() }).optional(),
});

/** By name: the SDK does not always say whether an error is retryable. */
const EFFECTS: Readonly<Record<string, SinkFailureEffect>> = {
  InvalidArgumentException: 'invalid',
  ValidationException: 'invalid',
  SerializationException: 'invalid',
  RequestEntityTooLargeException: 'invalid',
  ResourceNotFoundException: 'misconfigured',
  InvalidKMSResourceException: 'misconfigured',
  InvalidSourceException: 'misconfigured',
  AccessDeniedException: 'misconfigured',
  UnrecognizedClientException: 'misconfigured',
  InvalidSignatureException: 'misconfigured',
  SignatureDoesNotMatchException: 'misconfigured',
  ExpiredTokenException: 'misconfigured',
  KMSAccessDeniedException: 'misconfigured',
  NotAuthorized: 'misconfigured',
  IncompleteSignatureException: 'misconfigured',
  MissingAuthenticationTokenException: 'misconfigured',
  InvalidClientTokenId: 'misconfigured',
  OptInRequired: 'misconfigured',
  CredentialsProviderError: 'misconfigured',
};

/** By status, where a proxy or a load balancer has answered, or Firehose by a name that is not listed. */
const EFFECTS_OF_STATUS: Readonly<Record<number, SinkFailureEffect>> = {
  401: 'misconfigured',
  403: 'misconfigured',
  404: 'misconfigured',
  413: 'invalid',
};

/** Puts records on an Amazon Data Firehose delivery stream. Without credentials the SDK's default chain is used. */
export function openFirehoseSink({ stream, region, credentials }: FirehoseConfig): RecordSink {
  const client = new FirehoseClient({
    region,
    ...(credentials && { credentials }),
    maxAttempts: MAX_ATTEMPTS_PER_CALL,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      throwOnRequestTimeout: true,
      httpAgent: new HttpAgent({ keepAlive: true }),
      httpsAgent: new HttpsAgent({ keepAlive: true }),
    },
  });

  return {
    async put(records, signal) {
      const call = createPutRecordBatch(stream, records);
      await client.send(call.command, { abortSignal: signal }).catch((error: unknown) => {
        throw asSinkFailure(error);
      });
      return refusalsIn(call.answer(), records.length);
    },
    async close() {
      client.destroy();
    },
  };
}

function refusalsIn(answer: Buffer | undefined, count: number): Refusal[] {
  const { FailedPutCount, RequestResponses } = parseAnswer(answer);
  if (RequestResponses.length !== count) throw unreadableAnswer();
  // Reading every entry costs more than all the rest.
  if (FailedPutCount === 0 && !answer?.includes('"ErrorCode"')) return [];
  const responses = z.array(RecordResponse).safeParse(RequestResponses);
  if (!responses.success) throw unreadableAnswer();
  const refusals = responses.data.flatMap(({ ErrorCode: reason }, position) =>
    typeof reason === 'string' ? [{ position, reason, isThrottling: THROTTLING.test(reason) }] : [],
  );
  // Which ones have failed is not said: all are put again.
  if (refusals.length < FailedPutCount) throw unreadableAnswer();
  return refusals;
}

function parseAnswer(answer: Buffer | undefined): z.output<typeof PutRecordBatchOutput> {
  try {
    return PutRecordBatchOutput.parse(JSON.parse(String(answer)));
  } catch (error) {
    throw unreadableAnswer(error);
  }
}

const unreadableAnswer = (cause?: unknown): SinkFailure =>
  new SinkFailure('unavailable', 'Firehose gave an answer that cannot be read', { cause });

function asSinkFailure(error: unknown): SinkFailure {
  const { name, $metadata } = ServiceError.catch({ name: 'Error' }).parse(error);
  const effect = EFFECTS[name] ?? EFFECTS_OF_STATUS[$metadata?.httpStatusCode ?? 0];
  return new SinkFailure(effect ?? 'unavailable', `${name}: ${messageOf(error)}`, { cause: error });
}
