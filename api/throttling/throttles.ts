import { createHmac } from 'node:crypto';
import type { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { NamedKey } from '../../shared/crypto/keys.js';

/** How much of something one key may have: so many points in so many seconds, from the first one on. */
export interface Limit {
  readonly name: string;
  readonly points: number;
  readonly seconds: number;
}

/** What is left of a limit after something was taken from it. */
export interface Allowance {
  readonly isExceeded: boolean;
  /** True for the first request past the limit until it is whole again: the one to tell about. */
  readonly isFirstRefusal: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Until the limit is whole again. */
  readonly resetSeconds: number;
}

/** One limit, counted for all instances together. */
export interface Throttle {
  /** Takes a point. Atomic: of many at once no more than the limit are let through. */
  consume(key: string): Promise<Allowance>;
  /** Gives a point back. */
  refund(key: string): Promise<void>;
  /** Gives all back that was taken, also by those who were refused. */
  forget(key: string): Promise<void>;
}

/** Makes throttles that share one Redis. */
export type Throttles = (limit: Limit) => Throttle;

/** What throttles are made of. */
export interface ThrottlesDeps {
  readonly redis: Redis;
  /** Keys are hashed with it: Redis never sees an address. */
  readonly key: NamedKey;
  /** Multiplies every limit. */
  readonly scale: number;
}

/** With Redis gone each instance counts for itself, so it allows less. */
const FALLBACK_SHARE = 0.5;

/** Counts in Redis, or in memory while Redis is gone: a throttle never fails and never lets everything through. */
export function createThrottles({ redis, key: { key }, scale }: ThrottlesDeps): Throttles {
  return ({ name, points, seconds }) => {
    const limit = Math.max(1, Math.floor(points * scale));
    const fallbackLimit = Math.max(1, Math.floor(limit * FALLBACK_SHARE));
    const keyPrefix = `{throttle}:${name}`;
    const limiter = new RateLimiterRedis({
      storeClient: redis,
      keyPrefix,
      points: limit,
      duration: seconds,
      rejectIfRedisNotReady: true,
      insuranceLimiter: new RateLimiterMemory({
        keyPrefix,
        points: fallbackLimit,
        duration: seconds,
      }),
    });
    const hashed = (text: string): string =>
      createHmac('sha256', key).update(`${name}\0${text}`).digest('base64url');

    return {
      async consume(text) {
        try {
          const left = await limiter.consume(hashed(text));
          return { ...allowance(left, limit), isExceeded: false, isFirstRefusal: false };
        } catch (refusal) {
          if (!(refusal instanceof RateLimiterRes)) throw refusal;
          // Which of the two limiters refused cannot be told, but only one of them can just have been exceeded.
          const isFirstRefusal = [limit, fallbackLimit].includes(refusal.consumedPoints - 1);
          return { ...allowance(refusal, limit), isExceeded: true, isFirstRefusal };
        }
      },
      async refund(text) {
        await limiter.reward(hashed(text));
      },
      async forget(text) {
        await limiter.delete(hashed(text));
      },
    };
  };
}

const allowance = ({ remainingPoints, msBeforeNext }: RateLimiterRes, limit: number) => ({
  limit,
  remaining: Math.max(0, remainingPoints),
  resetSeconds: Math.max(1, Math.ceil(msBeforeNext / 1_000)),
});
