import type { Request, RequestHandler } from 'express';
import type { Audit } from '../../shared/audit/audit.js';
import { customerOf } from '../throttling/networks.js';
import type { Limit, Throttles } from '../throttling/throttles.js';
import { rateLimitHeaders, tooManyRequests } from '../throttling/too-many-requests.js';
import { causeOf, contextOf } from './request-context.js';

/** Makes a middleware that lets so many requests through: answers 429 with `Retry-After` past the limit. */
export type ThrottleRequests = (limit: Limit) => RequestHandler;

/** Counts the requests of each customer of a network. */
export const createThrottleByCustomer = (throttles: Throttles, audit: Audit): ThrottleRequests =>
  createThrottle(throttles, audit, (req) => customerOf(req.ip));

/** Counts the requests of each admin, wherever they come from. Belongs behind the admin guard. */
export const createThrottleByAdmin = (throttles: Throttles, audit: Audit): ThrottleRequests =>
  createThrottle(throttles, audit, (req) => {
    const { adminId } = contextOf(req);
    if (adminId === undefined) throw new Error('The route is not behind the admin guard');
    return String(adminId);
  });

/** Every answer tells what is left of the limit; the first refusal of each key is recorded, not the flood after it. */
function createThrottle(
  throttles: Throttles,
  audit: Audit,
  keyOf: (req: Request) => string,
): ThrottleRequests {
  return (limit) => {
    const throttle = throttles(limit);
    return async (req, res, next) => {
      const left = await throttle.consume(keyOf(req));
      res.setHeaders(new Map(Object.entries(rateLimitHeaders(left))));
      if (left.isFirstRefusal) {
        const facts = { adminId: contextOf(req).adminId, details: { limit: limit.name } };
        await audit.record('excess_rate_limit_exceeded', causeOf(req), facts);
      }
      if (left.isExceeded) throw tooManyRequests(left);
      next();
    };
  };
}
