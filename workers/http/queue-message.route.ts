import type { IncomingMessage } from 'node:http';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import { AppError } from '../../shared/errors/app-error.js';
import { supportedMediaType } from '../../shared/http/request-headers.js';
import type { Logger } from '../../shared/logging/logger.js';
import { maskError } from '../../shared/logging/mask.js';
import { parseMessage } from '../mail/ses-events/parse-message.js';
import type { SesEvents } from '../mail/ses-events/ses-events.js';
import { problem, readBody, RETRY_SOON, tooLarge, type WorkerResponse } from './http-messages.js';

export interface QueueMessageDeps {
  readonly sesEvents: SesEvents;
  readonly log: Logger;
}

/** The maximum size of an SQS message. */
const MAX_MESSAGE_BYTES = 256 * 1_024;
const MAX_ID_LENGTH = 200;

/**
 * `POST /sqs`: a message of the worker tier's queue, posted by its daemon. 200 acknowledges it, whether recorded or ignored.
 * Any other status leaves it in the queue, for a retry and finally the dead-letter queue.
 */
export async function receiveQueueMessage(
  { sesEvents, log }: QueueMessageDeps,
  req: IncomingMessage,
  requestId: string,
): Promise<WorkerResponse> {
  try {
    supportedMediaType(req.headers, ['application/json']);
    const bytes = await readBody(req, MAX_MESSAGE_BYTES);
    if (!bytes) return tooLarge(requestId);
    const body = parseMessage(bytes);
    const id = req.headers['x-aws-sqsd-msgid'];
    // An empty one would make every such message a repetition of the first.
    const messageId = typeof id === 'string' && id !== '' ? id.slice(0, MAX_ID_LENGTH) : undefined;
    const result = await sesEvents.receive({ body, messageId, requestId });
    return { status: 200, body: { result } };
  } catch (error) {
    const rejection = isDatabaseUnavailable(error)
      ? new AppError('unavailable', { cause: maskError(error) })
      : error;
    if (!(rejection instanceof AppError)) throw rejection;
    log.warn(
      { err: rejection.cause, 'event.reason': rejection.code, 'http.request.id': requestId },
      'SQS message rejected',
    );
    return problem(rejection, requestId, rejection.code === 'unavailable' ? RETRY_SOON : {});
  }
}
