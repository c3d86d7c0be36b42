import { AppError } from '../../shared/errors/app-error.js';
import type { Generations } from '../throttling/generations.js';
import { networkOf } from '../throttling/networks.js';
import type { Throttle, Throttles } from '../throttling/throttles.js';
import { tooManyRequests } from '../throttling/too-many-requests.js';

/** Whose password is tried, and from where. */
export interface PasswordTry {
  readonly emailCanonical: string;
  readonly ip: string | undefined;
  /** Where the password is asked for. At a login: whether the owner has been seen in this network before. */
  readonly within:
    | { isKnownNetwork(): Promise<boolean> }
    | { readonly sessionId: number }
    | 'mailed link';
  /** Called at the first try that is refused until the limit is whole again, and at none of the flood after it. */
  readonly onLock: () => Promise<void>;
}

/** Bounds how often passwords can be guessed. */
export interface PasswordGuard {
  /**
   * Counts a try before the password is compared, so that tries at once cannot outrun the count, and lets it through
   * or not. A try that succeeds is given back, and one that ends in an {@link AppError}: that was no wrong password.
   * @throws {AppError} `too_many_attempts`, whether the password is right or not and whether the account exists or not.
   */
  attempt<T>(attempt: PasswordTry, compare: () => Promise<T | undefined>): Promise<T | undefined>;
  /** Forgets every guess at an account's password, from wherever: its owner has proven to read the address's mail. */
  forgive(emailCanonical: string): Promise<void>;
}

const QUARTER_HOUR = 15 * 60;
const HOUR = 60 * 60;
/** One person who has forgotten which password it was. */
const PER_ACCOUNT_AND_NETWORK = { name: 'password-network', points: 5, seconds: QUARTER_HOUR };
/** Many networks against one account. Networks that its owner has been seen in are not locked out. */
const PER_ACCOUNT = { name: 'password-account', points: 20, seconds: HOUR };
/** Somebody with a stolen token. Apart from the login: its owner can still log in, and end the session. */
const PER_SESSION = { name: 'password-session', points: 5, seconds: QUARTER_HOUR };
const PER_SESSION_AND_HOUR = { name: 'password-session-hour', points: 20, seconds: HOUR };
/**
 * Somebody who reads the address's mail. Apart from the login: strangers cannot use these up. Many, because a button that is
 * pressed again and again takes as many at once.
 */
const PER_MAILED_LINK = { name: 'password-link', points: 30, seconds: QUARTER_HOUR };

/** A limit, and the key that is counted. */
type Count = readonly [throttle: Throttle, key: string];

/** OWASP Authentication Cheat Sheet, "Protect against automated attacks"; keyed by address whether it exists or not. */
export function createPasswordGuard(throttles: Throttles, generations: Generations): PasswordGuard {
  const perNetwork = throttles(PER_ACCOUNT_AND_NETWORK);
  const perAccount = throttles(PER_ACCOUNT);
  const perSession = throttles(PER_SESSION);
  const perSessionAndHour = throttles(PER_SESSION_AND_HOUR);
  const perMailedLink = throttles(PER_MAILED_LINK);

  /** What a try is counted by, the narrowest first; the look-ups for the next are made only if that lets it through. */
  async function* countsOf({ within, emailCanonical, ip }: PasswordTry): AsyncGenerator<Count> {
    if (within === 'mailed link') {
      yield [perMailedLink, emailCanonical];
    } else if ('sessionId' in within) {
      yield [perSession, String(within.sessionId)];
      yield [perSessionAndHour, String(within.sessionId)];
    } else {
      const account = `${emailCanonical}\0${await generations.of(emailCanonical)}`;
      yield [perNetwork, `${account}\0${networkOf(ip)}`];
      if (!(await within.isKnownNetwork())) yield [perAccount, account];
    }
  }

  return {
    async attempt(attempt, compare) {
      const taken: Count[] = [];
      for await (const [throttle, key] of countsOf(attempt)) {
        const left = await throttle.consume(key);
        if (left.isFirstRefusal) await attempt.onLock();
        if (left.isExceeded) throw tooManyRequests(left);
        taken.push([throttle, key]);
      }
      let result: Awaited<ReturnType<typeof compare>>;
      try {
        result = await compare();
      } catch (error) {
        if (error instanceof AppError) await giveBack(taken);
        throw error;
      }
      if (result === undefined) return undefined;
      const [narrowest, ...wider] = taken;
      // Programs that log in side by side with the right password may have run into the limit together: all is forgotten.
      if (narrowest) await narrowest[0].forget(narrowest[1]);
      await giveBack(wider);
      return result;
    },
    forgive: (emailCanonical) => generations.advance(emailCanonical),
  };
}

async function giveBack(counts: readonly Count[]): Promise<void> {
  for (const [throttle, key] of counts) await throttle.refund(key);
}
