import type { Request, RequestHandler } from 'express';
import type { Audit } from '../../shared/audit/audit.js';
import { adminIdOf, causeOf, contextOf, principalOf } from '../http/request-context.js';
import { clientNetworks } from './networks.js';
import {
  createRateLimiter,
  rateLimitHeaders,
  tooManyRequests,
  type Consumption,
  type RateLimit,
  type RateLimiter,
  type RateLimiterDeps,
} from './rate-limiter.js';

export interface LimitRequestsDeps {
  readonly rateLimiting: RateLimiterDeps;
  readonly audit: Audit;
}

/**
 * How much more a wider IPv6 network may have: a /56 or /48 may belong to one client or be shared by several. In the order
 * of `clientNetworks`, the narrowest first.
 */
const WIDER_NETWORKS = [
  { suffix: '', factor: 1 },
  { suffix: '-56', factor: 2 },
  { suffix: '-48', factor: 4 },
] as const;

/** Per-IP rate limit: counts each client by its IPv4 address, or by its IPv6 /64 and the /56 and /48 around it. */
export function limitByClient(deps: LimitRequestsDeps, limit: RateLimit): RequestHandler {
  const limiters = WIDER_NETWORKS.map(({ suffix, factor }) => {
    const name = `${limit.name}${suffix}`;
    const wider = { ...limit, name, points: limit.points * factor };
    return createRateLimiter(deps.rateLimiting, wider, { remembersRefusals: true });
  });
  return limitRequests(deps, limit, (req) => consumeByNetwork(limiters, contextOf(req).ip));
}

/** Per-admin rate limit, wherever the requests come from. Belongs behind `requireAdmin` or `requireSession`. */
export function limitByAdmin(deps: LimitRequestsDeps, limit: RateLimit): RequestHandler {
  const limiter = createRateLimiter(deps.rateLimiting, limit, { remembersRefusals: true });
  return limitRequests(deps, limit, (req) => limiter.consume(String(adminIdOf(req))));
}

/** Per-session rate limit: what a stolen token uses up is not its owner's. Belongs behind `requireAdmin`. */
export function limitBySession(deps: LimitRequestsDeps, limit: RateLimit): RequestHandler {
  const limiter = createRateLimiter(deps.rateLimiting, limit, { remembersRefusals: true });
  return limitRequests(deps, limit, (req) => limiter.consume(String(principalOf(req).sessionId)));
}

/** Takes a point from each network of the client; resolves to the tightest result. */
async function consumeByNetwork(
  limiters: readonly RateLimiter[],
  ip: string | undefined,
): Promise<Consumption> {
  let tightest: Consumption | undefined;
  for (const [i, network] of clientNetworks(ip).entries()) {
    const left = await limiters[i]?.consume(network);
    if (left && (!tightest || left.isExceeded || left.remaining < tightest.remaining))
      tightest = left;
    // A refused request must not use up the limit of its neighbours.
    if (left?.isExceeded) break;
  }
  if (!tightest) throw new Error('A client has at least one network');
  return tightest;
}

/** Every answer has the `RateLimit-*` headers; the audit records one refusal per key and rate-limit window. */
function limitRequests(
  { audit }: LimitRequestsDeps,
  { name }: RateLimit,
  consume: (req: Request) => Promise<Consumption>,
): RequestHandler {
  return async (req, res, next) => {
    const left = await consume(req);
    for (const [header, value] of Object.entries(rateLimitHeaders(left)))
      res.setHeader(header, value);
    if (left.isFirstRefusal) {
      const facts = { adminId: contextOf(req).adminId, details: { limit: name } };
      await audit.record('excess_rate_limit_exceeded', causeOf(req), facts);
    }
    if (left.isExceeded) throw tooManyRequests(left);
    next();
  };
}
