import type { Logger } from '../../../shared/logging/logger.js';
import type { Metrics } from '../../../shared/metrics/metrics.js';
import { createLogThrottle } from '../../../shared/logging/log-throttle.js';
import { AppError } from '../../../shared/errors/app-error.js';
import { maskError } from '../../../shared/logging/mask.js';
import { parseMessage } from './parse-message.js';
import {
  recordSesEvent,
  type Arrival,
  type Recorded,
  type RecordSesEventDeps,
} from './record-ses-event.js';
import { readSesEvent, type SesEvent } from './ses-event.js';
import { isEnvelope, SnsEnvelope } from './sns-envelope.js';
import type { SnsVerifier } from './sns-signature.js';

export interface SesEventsDeps extends RecordSesEventDeps {
  readonly verifier: SnsVerifier;
  /** Only messages that SNS signed for this topic are accepted. Without one, any client of the worker is trusted. */
  readonly topicArn: string | undefined;
  readonly metrics: Pick<Metrics, 'count'>;
  readonly log: Logger;
}

/** A message of the SQS queue, as the worker tier's daemon posts it. */
export interface QueueMessage {
  readonly body: unknown;
  /** The queue's own id of the message, the same at every redelivery. */
  readonly messageId: string | undefined;
  readonly requestId: string;
}

/** `ignored` when the message says nothing about the delivery of a mail. */
export type EventResult = Recorded['result'] | 'ignored';

/** Receives the events that Amazon SES publishes about mails. */
export interface SesEvents {
  /**
   * Records the event of a message, with or without SNS's envelope. Idempotent.
   * @throws {AppError} `malformed_request` for what is neither an envelope of SNS nor an event of SES,
   *   `untrusted_message` for a wrong signature or an invalid certificate, and for another topic than ours, if one is
   *   set, `unavailable` when the certificate cannot be fetched now.
   */
  receive(message: QueueMessage): Promise<EventResult>;
}

const LOG_UNKNOWN_EVERY_MS = 60_000;
/** SES publishes this text to a new topic; its only message that is not JSON. */
const GREETING = /^Successfully validated SNS topic/;

/** See {@link SesEvents}. */
export function createSesEvents(deps: SesEventsDeps): SesEvents {
  const unknown = { count: 0, isDue: createLogThrottle(LOG_UNKNOWN_EVERY_MS) };
  return { receive: (message) => receive(deps, unknown, message) };
}

/** Events about messages that are not in the database. */
interface UnknownEvents {
  count: number;
  readonly isDue: (key: string) => boolean;
}

async function receive(
  deps: SesEventsDeps,
  unknown: UnknownEvents,
  { body, messageId, requestId }: QueueMessage,
): Promise<EventResult> {
  if (!isEnvelope(body)) {
    if (deps.topicArn !== undefined) throw new AppError('untrusted_message');
    return record(deps, unknown, body, { messageId: messageId && `sqs:${messageId}`, requestId });
  }
  const parsed = SnsEnvelope.safeParse(body);
  if (!parsed.success) throw new AppError('malformed_request');
  const envelope = parsed.data;
  await verify(deps, envelope);
  if (envelope.Type !== 'Notification') {
    // An SQS subscription needs no confirmation, and links in messages are never followed.
    deps.log.warn(
      { 'labels.sns_type': envelope.Type, 'http.request.id': requestId },
      'SNS subscription message ignored',
    );
    return 'ignored';
  }
  if (GREETING.test(envelope.Message)) return 'ignored';
  const event = parseMessage(envelope.Message);
  return record(deps, unknown, event, { messageId: `sns:${envelope.MessageId}`, requestId });
}

async function record(
  deps: SesEventsDeps,
  unknown: UnknownEvents,
  body: unknown,
  arrival: Arrival,
): Promise<EventResult> {
  const event = readSesEvent(body);
  if (!event) throw new AppError('malformed_request');
  if ('ignored' in event) return 'ignored';
  const recorded = await recordSesEvent(deps, event, arrival);
  if (recorded.result === 'recorded')
    deps.metrics.count('rollcall_mail_events_total', { event: event.type });
  if (recorded.result === 'unknown') logUnknown(deps, unknown, event);
  else logRecorded(deps, event, recorded, arrival.requestId);
  return recorded.result;
}

function logRecorded(
  { log }: SesEventsDeps,
  { type, subtype, providerId }: SesEvent,
  { result, mail }: Exclude<Recorded, { result: 'unknown' }>,
  requestId: string,
): void {
  log.info(
    {
      'labels.result': result,
      'labels.mail_event': type,
      'labels.mail_event_subtype': subtype,
      'labels.outbox_id': mail.id,
      'labels.provider_id': providerId,
      'http.request.id': requestId,
      'trace.id': mail.traceId,
    },
    'mail event',
  );
}

/** Unknown events are not stored, and logged once a minute: a flood of them fills neither a table nor the log. */
function logUnknown(
  { log }: SesEventsDeps,
  unknown: UnknownEvents,
  { type, providerId }: SesEvent,
): void {
  unknown.count += 1;
  if (!unknown.isDue('unknown')) return;
  log.warn(
    {
      'labels.events_since_start': unknown.count,
      'labels.mail_event': type,
      'labels.provider_id': providerId,
    },
    'mail event for unknown message',
  );
}

/** @throws {AppError} for another topic, a wrong signature or a certificate that is invalid or cannot be fetched. */
async function verify({ verifier, topicArn }: SesEventsDeps, envelope: SnsEnvelope): Promise<void> {
  if (topicArn !== undefined && envelope.TopicArn !== topicArn)
    throw new AppError('untrusted_message');
  if (topicArn === undefined && envelope.Signature === undefined) return;
  const isSigned = await verifier.isSignedBySns(envelope).catch((error: unknown) => {
    if (error instanceof AppError) throw error;
    throw new AppError('unavailable', { cause: maskError(error) });
  });
  if (!isSigned) throw new AppError('untrusted_message');
}
