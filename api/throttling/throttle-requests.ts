import type { Request, RequestHandler } from 'express';
import type { Audit } from '../../shared/audit/audit.js';
import { clientNetworks } from './networks.js';
import type { Allowance, Limit, Throttles } from './throttles.js';
import { rateLimitHeaders, tooManyRequests } from './too-many-requests.js';
import { causeOf, contextOf } from '../http/request-context.js';

/** Makes a middleware that lets so many requests through: answers 429 with `Retry-After` past the limit. */
export type ThrottleRequests = (limit: Limit) => RequestHandler;

/**
 * How often the limit fits into a wider IPv6 network: somebody may have all of a /56 or /48 to itself, or share it with
 * others. The narrowest comes first, as in `clientNetworks`.
 */
const WIDER_NETWORKS = [
  { suffix: '', factor: 1 },
  { suffix: '-56', factor: 2 },
  { suffix: '-48', factor: 4 },
] as const;

/** Counts the requests of each client: an IPv4 address, or an IPv6 /64 and the /56 and /48 that it is in. */
export const createThrottleByClient =
  (throttles: Throttles, audit: Audit): ThrottleRequests =>
  (limit) => {
    const widening = WIDER_NETWORKS.map(({ suffix, factor }) =>
      throttles({ ...limit, name: `${limit.name}${suffix}`, points: limit.points * factor }),
    );
    return createThrottle(limit, audit, async (req) => {
      let tightest: Allowance | undefined;
      for (const [i, network] of clientNetworks(req.ip).entries()) {
        const left = await widening[i]?.consume(network);
        if (left && (!tightest || left.isExceeded || left.remaining < tightest.remaining))
          tightest = left;
        // What is refused takes nothing from its neighbours.
        if (left?.isExceeded) break;
      }
      if (!tightest) throw new Error('A client has an address');
      return tightest;
    });
  };

/** Counts the requests of each admin, wherever they come from. Belongs behind the admin guard. */
export const createThrottleByAdmin =
  (throttles: Throttles, audit: Audit): ThrottleRequests =>
  (limit) => {
    const throttle = throttles(limit);
    return createThrottle(limit, audit, (req) => {
      const { adminId } = contextOf(req);
      if (adminId === undefined) throw new Error('The route is not behind the admin guard');
      return throttle.consume(String(adminId));
    });
  };

/** Every answer tells what is left of the limit; the first refusal of each key is recorded, not the flood after it. */
function createThrottle(
  { name }: Limit,
  audit: Audit,
  consume: (req: Request) => Promise<Allowance>,
): RequestHandler {
  return async (req, res, next) => {
    const left = await consume(req);
    res.setHeaders(new Map(Object.entries(rateLimitHeaders(left))));
    if (left.isFirstRefusal) {
      const facts = { adminId: contextOf(req).adminId, details: { limit: name } };
      await audit.record('excess_rate_limit_exceeded', causeOf(req), facts);
    }
    if (left.isExceeded) throw tooManyRequests(left);
    next();
  };
}
