import { AppError } from '../../shared/errors/app-error.js';
import { refusalOfRedis } from '../../shared/queues/redis-refusals.js';

/** What is wrong with Redis, for an operator. */
export const problemOfRedis = (error: unknown): string =>
  `Redis ${refusalOfRedis(error)?.problem ?? 'cannot be reached'}`;

const RETRY_AFTER_SECONDS = '5';

/** Rethrows an error of Redis as one that says so. @throws {AppError} `unavailable`. */
export function redisUnavailable(error: unknown): never {
  throw new AppError('unavailable', {
    detail: problemOfRedis(error),
    headers: { 'Retry-After': RETRY_AFTER_SECONDS },
    cause: error,
  });
}
