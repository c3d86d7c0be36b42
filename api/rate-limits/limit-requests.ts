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

/** A limit on requests. */
export interface RequestLimit extends RateLimit {
  /**
   * True to count no request that fails because PostgreSQL is unavailable: clients that retry until the end of an outage
   * would be locked out after it. Not for a limit that resets soon: one that counts also relieves an overloaded PostgreSQL.
   */
  readonly refundsOutages?: boolean;
}

/** How a limit counts requests. */
interface Counter {
  consume(req: Request): Promise<Consumption>;
  /** Gives back what {@link consume} has taken without a refusal. */
  refund(req: Request): Promise<unknown>;
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
export function limitByClient(deps: LimitRequestsDeps, limit: RequestLimit): RequestHandler {
  const limiters = WIDER_NETWORKS.map(({ suffix, factor }) => {
    const name = `${limit.name}${suffix}`;
    const wider = { ...limit, name, points: limit.points * factor };
    return createRateLimiter(deps.rateLimiting, wider, { remembersRefusals: true });
  });
  return limitRequests(deps, limit, {
    consume: (req) => consumeByNetwork(limiters, contextOf(req).ip),
    refund: (req) => refundByNetwork(limiters, contextOf(req).ip),
  });
}

/** Per-admin rate limit, wherever the requests come from. Belongs behind `requireAdmin` or `requireSession`. */
export const limitByAdmin = (deps: LimitRequestsDeps, limit: RequestLimit): RequestHandler =>
  limitByKey(deps, limit, (req) => String(adminIdOf(req)));

/** Per-session rate limit: what a stolen token uses up is not its owner's. Belongs behind `requireAdmin`. */
export const limitBySession = (deps: LimitRequestsDeps, limit: RequestLimit): RequestHandler =>
  limitByKey(deps, limit, (req) => String(principalOf(req).sessionId));

function limitByKey(
  deps: LimitRequestsDeps,
  limit: RequestLimit,
  keyOf: (req: Request) => string,
): RequestHandler {
  const limiter = createRateLimiter(deps.rateLimiting, limit, { remembersRefusals: true });
  return limitRequests(deps, limit, {
    consume: (req) => limiter.consume(keyOf(req)),
    refund: (req) => limiter.refund(keyOf(req)),
  });
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

const refundByNetwork = (limiters: readonly RateLimiter[], ip: string | undefined) =>
  Promise.all(clientNetworks(ip).map(async (network, i) => limiters[i]?.refund(network)));

/** Every answer has the `RateLimit-*` headers; the audit records one refusal per key and rate-limit window. */
function limitRequests(
  { audit }: LimitRequestsDeps,
  { name, refundsOutages = false }: RequestLimit,
  { consume, refund }: Counter,
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
    if (refundsOutages) contextOf(req).whenUnavailable = () => void refund(req);
    next();
  };
}
