import { messageOf } from '../errors/message-of.js';
import type { Logger } from '../logging/logger.js';
import { createLogThrottle } from '../logging/log-throttle.js';
import { maskError } from '../logging/mask.js';
import type { LogMessage } from '../logging/messages.js';

const SAME_ERROR_EVERY_MS = 60_000;

/**
 * Logs errors of a connection to Redis, masked, with these fields, and the same one once a minute: a lost connection repeats
 * its error at every attempt to reconnect.
 */
export function logRedisErrors(
  log: Logger,
  message: LogMessage,
  fields: Readonly<Record<string, string>> = {},
): (error: Error) => void {
  const isDue = createLogThrottle(SAME_ERROR_EVERY_MS);
  return (error) => {
    if (isDue(messageOf(error))) log.warn({ ...fields, err: maskError(error) }, message);
  };
}
