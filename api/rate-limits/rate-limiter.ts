import { createHmac } from 'node:crypto';
import type { Redis } from 'ioredis';
import RateLimiterMemory from 'rate-limiter-flexible/lib/RateLimiterMemory.js';
import RateLimiterRedis from 'rate-limiter-flexible/lib/RateLimiterRedis.js';
import RateLimiterRes from 'rate-limiter-flexible/lib/RateLimiterRes.js';
import type { NamedKey } from '../../shared/crypto/keys.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import { scaledLimit } from '../../shared/scaled-limit.js';

/** A fixed-window limit: so many points in so many seconds, counted from a key's first point. */
export interface RateLimit {
  readonly name: string;
  readonly points: number;
  readonly seconds: number;
}

/** What is left of a limit. */
export interface RemainingLimit {
  readonly limit: number;
  readonly remaining: number;
  /** Until the limit resets. */
  readonly resetSeconds: number;
}

/** The result of consuming a point. */
export interface Consumption extends RemainingLimit {
  readonly isExceeded: boolean;
  /** True for the first refusal in a rate-limit window: the one to log. */
  readonly isFirstRefusal: boolean;
}

/** Counts one limit for all instances together. */
export interface RateLimiter {
  /** The limit's name. */
  readonly name: string;
  /** Takes a point. Atomic: of many concurrent calls no more than the limit pass. */
  consume(key: string): Promise<Consumption>;
  /** Gives a point back. */
  refund(key: string): Promise<void>;
  /** Resets a key, including the points of refused calls. */
  reset(key: string): Promise<void>;
}

/** Where limits are counted. */
export interface RateLimitStore {
  readonly redis: Redis;
  /** Keys are hashed with it: Redis never sees an address. */
  readonly key: NamedKey;
}

export interface RateLimiterDeps extends RateLimitStore {
  /** Multiplies every limit. */
  readonly scale: number;
  readonly metrics: Pick<Metrics, 'count'>;
}

const prefixOf = (name: string): string => `{throttle}:${name}`;

const hashOf = ({ key: secret }: NamedKey, name: string, key: string): string =>
  createHmac('sha256', secret).update(`${name}\0${key}`).digest('base64url');

/** The key in Redis that counts a limit's key. */
export const countKeyOf = (secret: NamedKey, { name }: RateLimit, key: string): string =>
  `${prefixOf(name)}:${hashOf(secret, name, key)}`;

/** Without Redis each instance counts for itself, so it allows less. */
const FALLBACK_SHARE = 0.5;

/**
 * Counts in Redis, or in memory while Redis is down: a rate limiter never fails and never fails open.
 * @param options `remembersRefusals`: a key that was refused is refused again until its limit resets, without asking Redis.
 *   Only for limits that are never reset, which other instances would not notice.
 */
export function createRateLimiter(
  deps: RateLimiterDeps,
  rateLimit: RateLimit,
  { remembersRefusals = false }: { readonly remembersRefusals?: boolean } = {},
): RateLimiter {
  const { name, points, seconds: duration } = rateLimit;
  const limit = scaledLimit(points, deps.scale);
  const fallbackLimit = scaledLimit(limit, FALLBACK_SHARE);
  const keyPrefix = prefixOf(name);
  const limiter = new RateLimiterRedis({
    storeClient: deps.redis,
    keyPrefix,
    points: limit,
    duration,
    rejectIfRedisNotReady: true,
    ...(remembersRefusals && { inMemoryBlockOnConsumed: limit + 1 }),
    insuranceLimiter: new RateLimiterMemory({ keyPrefix, points: fallbackLimit, duration }),
  });
  const hashed = (key: string): string => hashOf(deps.key, name, key);

  return {
    name,
    async consume(key) {
      try {
        const result = await limiter.consume(hashed(key));
        return { ...remainingOf(result, limit), isExceeded: false, isFirstRefusal: false };
      } catch (refusal) {
        if (!(refusal instanceof RateLimiterRes)) throw refusal;
        deps.metrics.count('rollcall_rate_limit_hits_total', { limit: name });
        // Which of the two limiters refused is unknown, but only one of them can just have been exceeded.
        const isFirstRefusal = [limit, fallbackLimit].includes(refusal.consumedPoints - 1);
        return { ...remainingOf(refusal, limit), isExceeded: true, isFirstRefusal };
      }
    },
    async refund(key) {
      await limiter.reward(hashed(key));
    },
    async reset(key) {
      await limiter.delete(hashed(key));
    },
  };
}

const remainingOf = (result: RateLimiterRes, limit: number): RemainingLimit => ({
  limit,
  remaining: Math.max(0, result.remainingPoints),
  resetSeconds: Math.max(1, Math.ceil(result.msBeforeNext / 1_000)),
});

/** The `RateLimit-*` headers (IETF draft "RateLimit header fields for HTTP", in its widely implemented form). */
export const rateLimitHeaders = (left: RemainingLimit): Record<string, string> => ({
  'RateLimit-Limit': String(left.limit),
  'RateLimit-Remaining': String(left.remaining),
  'RateLimit-Reset': String(left.resetSeconds),
});

/** The error past a limit, for middleware and for services that count by themselves: 429 with `Retry-After`. */
export const tooManyRequests = (left: RemainingLimit): AppError =>
  new AppError('too_many_attempts', {
    headers: { ...rateLimitHeaders(left), 'Retry-After': String(left.resetSeconds) },
  });
