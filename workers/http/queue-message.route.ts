import type { IncomingMessage } from 'node:http';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import { AppError } from '../../shared/errors/app-error.js';
import { supportedMediaType } from '../../shared/http/request-headers.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { SesEvents } from '../mail/ses-events/ses-events.js';
import { maskError } from '../mask.js';
import { problem, tooLarge, type Answer } from './http-messages.js';
import { readBody } from './read-body.js';

export interface QueueMessageDeps {
  readonly sesEvents: SesEvents;
  readonly log: Logger;
}

/** What SQS carries at most. */
const MAX_MESSAGE_BYTES = 256 * 1_024;
const MAX_ID_LENGTH = 200;
const RETRY = { 'Retry-After': '5' };

/**
 * `POST /sqs`: a message of the worker tier's queue, posted by its daemon. 200 takes it off the queue, be it recorded or
 * of no matter. Any other answer leaves it there, to come again and at last to go to the dead-letter queue.
 */
export async function takeQueueMessage(
  { sesEvents, log }: QueueMessageDeps,
  req: IncomingMessage,
  requestId: string,
): Promise<Answer> {
  try {
    supportedMediaType(req.headers, ['application/json']);
    const bytes = await readBody(req, MAX_MESSAGE_BYTES);
    if (!bytes) return tooLarge(requestId);
    const body = parseJson(bytes);
    const id = req.headers['x-aws-sqsd-msgid'];
    const messageId = typeof id === 'string' ? id.slice(0, MAX_ID_LENGTH) : undefined;
    const result = await sesEvents.take({ body, messageId, requestId });
    return { status: 200, body: { result } };
  } catch (error) {
    const refusal = isDatabaseUnavailable(error)
      ? new AppError('unavailable', { cause: maskError(error) })
      : error;
    if (!(refusal instanceof AppError)) throw refusal;
    log.warn(
      { err: refusal.cause, 'event.reason': refusal.code, 'http.request.id': requestId },
      'SQS message rejected',
    );
    return problem(refusal, requestId, refusal.code === 'unavailable' ? RETRY : {});
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // What the parser says would quote the body.
    throw new AppError('malformed_request');
  }
}
