import type { RequestHandler } from 'express';
import type { Audit } from '../../shared/audit/audit.js';
import { AppError } from '../../shared/errors/app-error.js';
import { customerOf } from './networks.js';
import { causeOf } from './request-context.js';
import type { Allowance, Limit, Throttles } from './throttles.js';

/** Makes a middleware that allows each customer of a network so many requests. */
export type ThrottleByCustomer = (limit: Limit) => RequestHandler;

/** Answers 429 with `Retry-After` past the limit; every answer tells what is left of it. */
export function createThrottleByCustomer(throttles: Throttles, audit: Audit): ThrottleByCustomer {
  return (limit) => {
    const throttle = throttles(limit);
    return async (req, res, next) => {
      const left = await throttle.consume(customerOf(req.ip));
      res.setHeaders(new Map(Object.entries(rateLimitHeaders(left))));
      if (left.isExceeded) {
        const details = { limit: limit.name };
        await audit.record('excess_rate_limit_exceeded', causeOf(req), { details });
        throw tooManyRequests(left);
      }
      next();
    };
  };
}

/** What a client reads of its limit (IETF draft "RateLimit header fields for HTTP", as widely spoken). */
export const rateLimitHeaders = ({
  limit,
  remaining,
  resetSeconds,
}: Allowance): Record<string, string> => ({
  'RateLimit-Limit': String(limit),
  'RateLimit-Remaining': String(remaining),
  'RateLimit-Reset': String(resetSeconds),
});

/** The answer past a limit. */
export const tooManyRequests = (left: Allowance): AppError =>
  new AppError('too_many_attempts', {
    headers: { ...rateLimitHeaders(left), 'Retry-After': String(left.resetSeconds) },
  });
