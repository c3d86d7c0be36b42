import { AppError } from '../../shared/errors/app-error.js';
import type { Allowance } from './throttles.js';

/** How much of a limit is left. */
export type Left = Pick<Allowance, 'limit' | 'remaining' | 'resetSeconds'>;

/** What a client reads of its limit (IETF draft "RateLimit header fields for HTTP", as widely spoken). */
export const rateLimitHeaders = ({
  limit,
  remaining,
  resetSeconds,
}: Left): Record<string, string> => ({
  'RateLimit-Limit': String(limit),
  'RateLimit-Remaining': String(remaining),
  'RateLimit-Reset': String(resetSeconds),
});

/** The answer past a limit, whoever counts: a middleware, or a service that alone knows what to count. */
export const tooManyRequests = (left: Left): AppError =>
  new AppError('too_many_attempts', {
    headers: { ...rateLimitHeaders(left), 'Retry-After': String(left.resetSeconds) },
  });
