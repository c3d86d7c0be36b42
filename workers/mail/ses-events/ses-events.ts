import type { Logger } from '../../../shared/logging/logger.js';
import { createLogThrottle } from '../../../shared/logging/log-throttle.js';
import { AppError } from '../../../shared/errors/app-error.js';
import { maskError } from '../../mask.js';
import { recordSesEvent, type Recorded, type RecordSesEventDeps } from './record-ses-event.js';
import { readSesEvent, type SesEvent } from './ses-event.js';
import { isEnvelope, SnsEnvelope } from './sns-envelope.js';
import type { SnsVerifier } from './sns-signature.js';

export interface SesEventsDeps extends RecordSesEventDeps {
  readonly verifier: SnsVerifier;
  /** Only what SNS has signed for this topic is taken. Without one, whoever reaches the worker is believed. */
  readonly topicArn: string | undefined;
  readonly log: Logger;
}

/** A message of the queue, as the worker tier's daemon posts it. */
export interface QueueMessage {
  readonly body: unknown;
  /** The queue's own id of it, the same at every redelivery. */
  readonly messageId: string | undefined;
  readonly requestId: string;
}

/** What a message came to: `ignored` when it says nothing about the delivery of a mail. */
export type EventResult = Recorded | 'ignored';

/** Takes what Amazon SES tells about mails. */
export interface SesEvents {
  /**
   * Records the event of a message, or ignores a message that holds none that matters. Safe to call again.
   * @throws {AppError} `malformed_request` for what is neither an envelope of SNS nor an event of SES,
   *   `untrusted_message` for a wrong signature, and for what is not of our topic, if one is set, `unavailable` when the certificate cannot be had now.
   */
  take(message: QueueMessage): Promise<EventResult>;
}

const TELL_UNKNOWN_EVERY_MS = 60_000;
/** What SES says to a new topic; the only message of it that is not JSON. */
const GREETING = /^Successfully validated SNS topic/;

/** Reads messages with or without SNS's envelope, and checks the envelope's signature where it has one. */
export function createSesEvents(deps: SesEventsDeps): SesEvents {
  const { log } = deps;

  async function take({ body, messageId, requestId }: QueueMessage): Promise<EventResult> {
    const arrival = { messageId: messageId && `sqs:${messageId}`, requestId };
    if (!isEnvelope(body)) {
      if (deps.topicArn !== undefined) throw new AppError('untrusted_message');
      return record(body, arrival);
    }
    const parsed = SnsEnvelope.safeParse(body);
    if (!parsed.success) throw new AppError('malformed_request');
    const envelope = parsed.data;
    await refuseForeign(deps, envelope);
    if (envelope.Type !== 'Notification') {
      // A queue's subscription needs no confirmation; nobody here follows a link that a message brings.
      log.warn(
        { 'labels.sns_type': envelope.Type, 'http.request.id': requestId },
        'SNS subscription message ignored',
      );
      return 'ignored';
    }
    if (GREETING.test(envelope.Message)) return 'ignored';
    return record(parseJson(envelope.Message), {
      messageId: `sns:${envelope.MessageId}`,
      requestId,
    });
  }

  async function record(
    body: unknown,
    arrival: Parameters<typeof recordSesEvent>[2],
  ): Promise<EventResult> {
    const event = readSesEvent(body);
    if (!event) throw new AppError('malformed_request');
    if ('ignored' in event) return 'ignored';
    const result = await recordSesEvent(deps, event, arrival);
    if (result === 'unknown') tellUnknown(event);
    else tellRecorded(event, result, arrival.requestId);
    return result;
  }

  const tellRecorded = (event: SesEvent, result: Recorded, requestId: string): void =>
    log.info(
      {
        'labels.result': result,
        'labels.mail_event': event.type,
        'labels.mail_event_subtype': event.subtype,
        'labels.outbox_id': event.outboxId,
        'labels.provider_id': event.providerId,
        'http.request.id': requestId,
      },
      'mail event',
    );

  let unknownEvents = 0;
  const isTimeToTell = createLogThrottle(TELL_UNKNOWN_EVERY_MS);
  /** Nothing is kept of them: whoever sends many fills neither a table nor the log. */
  function tellUnknown({ type, providerId }: SesEvent): void {
    unknownEvents += 1;
    if (!isTimeToTell('unknown')) return;
    log.warn(
      {
        'labels.events_since_start': unknownEvents,
        'labels.mail_event': type,
        'labels.provider_id': providerId,
      },
      'mail event for unknown message',
    );
  }

  return { take };
}

async function refuseForeign(
  { verifier, topicArn }: SesEventsDeps,
  envelope: SnsEnvelope,
): Promise<void> {
  if (topicArn !== undefined && envelope.TopicArn !== topicArn)
    throw new AppError('untrusted_message');
  if (topicArn === undefined && envelope.Signature === undefined) return;
  const isSigned = await verifier.isSignedBySns(envelope).catch((error: unknown) => {
    throw new AppError('unavailable', { cause: maskError(error) });
  });
  if (!isSigned) throw new AppError('untrusted_message');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // What the parser says would quote the message.
    throw new AppError('malformed_request');
  }
}
