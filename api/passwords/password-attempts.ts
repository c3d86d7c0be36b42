import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import { AppError } from '../../shared/errors/app-error.js';
import { advanceIn, type Generations } from '../rate-limits/generations.js';
import { networkOf } from '../rate-limits/networks.js';
import {
  countKeyOf,
  createRateLimiter,
  tooManyRequests,
  type RateLimiter,
  type RateLimiterDeps,
  type RateLimitStore,
  type RemainingLimit,
} from '../rate-limits/rate-limiter.js';

/** One attempt to prove a password: for which account, and from where. */
export interface PasswordAttempt {
  readonly emailCanonical: string;
  readonly ip: string | undefined;
  /** Where the password is asked for. At a login: whether the owner has been seen in this network before. */
  readonly within:
    | { isKnownNetwork(): Promise<boolean> }
    | { readonly sessionId: number }
    | 'mailed link';
  /** Called at the first refused attempt of a rate-limit window only: by which limit, and when that resets. */
  readonly onLock: (lock: { readonly limit: string; readonly until: string }) => Promise<void>;
}

/** Rate limits for guessing passwords. */
export interface PasswordAttemptLimiter {
  /**
   * Counts an attempt before the password is compared, so that concurrent attempts cannot outrun the count, then compares.
   * A successful attempt is refunded, and so is one that ends in `overloaded` or because PostgreSQL is unavailable: nothing
   * was compared, and clients that retry must not be locked out when that is over.
   * @throws {AppError} `too_many_attempts`, whether or not the password is right or the account exists.
   */
  attempt<T>(
    attempt: PasswordAttempt,
    compare: () => Promise<T | undefined>,
  ): Promise<T | undefined>;
  /** Resets all failed logins of an account, from any network: its owner has followed a mailed link, or set a new password. */
  reset(emailCanonical: string): Promise<void>;
}

const QUARTER_HOUR = 15 * 60;
const HOUR = 60 * 60;
const LIMITS = {
  /** One person who has forgotten the password. */
  perAccountAndNetwork: { name: 'password-network', points: 5, seconds: QUARTER_HOUR },
  /** Many networks against one account. Networks in which the owner has been seen are not locked out. */
  perAccount: { name: 'password-account', points: 20, seconds: HOUR },
  /** A stolen token. Separate from the login: the owner can still log in, and end the session. */
  perSession: { name: 'password-session', points: 5, seconds: QUARTER_HOUR },
  perSessionAndHour: { name: 'password-session-hour', points: 20, seconds: HOUR },
  /**
   * A reader of the address's mail. Separate from the login: strangers cannot use this limit up. High, because a button
   * that is pressed repeatedly sends as many requests at once.
   */
  perMailedLink: { name: 'password-link', points: 30, seconds: QUARTER_HOUR },
} as const;

/** Those that a link from the account's mail clears, and a new password. */
export const LIMITS_OF_LOGINS: readonly string[] = [
  LIMITS.perAccountAndNetwork.name,
  LIMITS.perAccount.name,
];

type Limiters = Readonly<Record<keyof typeof LIMITS, RateLimiter>>;

/** A point that an attempt has consumed: of which limiter, under which key. */
type Point = readonly [limiter: RateLimiter, key: string];

/** OWASP Authentication Cheat Sheet, "Protect against automated attacks"; keyed by address whether it exists or not. */
export function createPasswordAttemptLimiter(
  deps: RateLimiterDeps,
  generations: Generations,
): PasswordAttemptLimiter {
  const limiters: Limiters = {
    perAccountAndNetwork: createRateLimiter(deps, LIMITS.perAccountAndNetwork),
    perAccount: createRateLimiter(deps, LIMITS.perAccount),
    perSession: createRateLimiter(deps, LIMITS.perSession),
    perSessionAndHour: createRateLimiter(deps, LIMITS.perSessionAndHour),
    perMailedLink: createRateLimiter(deps, LIMITS.perMailedLink),
  };
  return {
    attempt: (attempt, compare) =>
      attemptPassword(pointsOf(limiters, generations, attempt), attempt, compare),
    reset: (emailCanonical) => generations.advance(emailCanonical),
  };
}

/** The points that an attempt needs, the narrowest first; the look-ups for the next are made only if that one is granted. */
async function* pointsOf(
  limiters: Limiters,
  generations: Generations,
  { within, emailCanonical, ip }: PasswordAttempt,
): AsyncGenerator<Point> {
  if (within === 'mailed link') {
    yield [limiters.perMailedLink, emailCanonical];
  } else if ('sessionId' in within) {
    yield [limiters.perSession, String(within.sessionId)];
    yield [limiters.perSessionAndHour, String(within.sessionId)];
  } else {
    const account = `${emailCanonical}\0${await generations.of(emailCanonical)}`;
    yield [limiters.perAccountAndNetwork, `${account}\0${networkOf(ip)}`];
    if (!(await within.isKnownNetwork())) yield [limiters.perAccount, account];
  }
}

async function attemptPassword<T>(
  points: AsyncGenerator<Point>,
  { onLock }: PasswordAttempt,
  compare: () => Promise<T | undefined>,
): Promise<T | undefined> {
  const consumed: Point[] = [];
  let result: T | undefined;
  try {
    for await (const [limiter, key] of points) {
      const left = await limiter.consume(key);
      if (left.isFirstRefusal) await onLock({ limit: limiter.name, until: endOf(left) });
      if (left.isExceeded) throw tooManyRequests(left);
      consumed.push([limiter, key]);
    }
    result = await compare();
  } catch (error) {
    if (wasNothingCompared(error)) await refund(consumed);
    throw error;
  }
  if (result === undefined) return undefined;
  const [narrowest, ...wider] = consumed;
  // Clients that log in concurrently with the right password may have hit the limit together: it resets.
  await Promise.all([narrowest?.[0].reset(narrowest[1]), refund(wider)]);
  return result;
}

const wasNothingCompared = (error: unknown): boolean =>
  isDatabaseUnavailable(error) || (error instanceof AppError && error.code === 'overloaded');

const endOf = ({ resetSeconds }: RemainingLimit): string =>
  new Date(Date.now() + resetSeconds * 1_000).toISOString();

async function refund(points: readonly Point[]): Promise<void> {
  await Promise.all(points.map(([limiter, key]) => limiter.refund(key)));
}

/** The keys under which the passwords of one account are counted. */
export interface PasswordCounts {
  readonly emailCanonical: string;
  /** The canonical addresses to which its links are mailed. */
  readonly linkAddresses: readonly string[];
  readonly sessionIds: readonly number[];
}

/**
 * Resets the counts of wrong passwords of an account, for every process at once: none of them remembers refusals of these
 * limits. What a process has counted in memory while Redis was gone stays, and counts only while Redis is gone again.
 * @throws the error of Redis when it does not do it; then nothing is reset, unless only its answer was lost.
 */
export async function resetPasswordCounts(
  { redis, key: secret }: RateLimitStore,
  { emailCanonical, linkAddresses, sessionIds }: PasswordCounts,
): Promise<void> {
  const transaction = redis.multi();
  advanceIn(transaction, secret, emailCanonical);
  const counts = [
    ...linkAddresses.map((address) => countKeyOf(secret, LIMITS.perMailedLink, address)),
    ...sessionIds.flatMap((id) => [
      countKeyOf(secret, LIMITS.perSession, String(id)),
      countKeyOf(secret, LIMITS.perSessionAndHour, String(id)),
    ]),
  ];
  transaction.del(...counts);
  const results = await transaction.exec().catch((error: unknown) => {
    throw refusalWithin(error);
  });
  const failed = results?.find(([error]) => error !== null)?.[0];
  if (failed) throw failed;
}

/** Why Redis has discarded a transaction: its own error, EXECABORT, does not say. */
const refusalWithin = (error: unknown): unknown =>
  error instanceof Error && 'previousErrors' in error && Array.isArray(error.previousErrors)
    ? (error.previousErrors.find((each) => each instanceof Error) ?? error)
    : error;
