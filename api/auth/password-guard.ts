import { AppError } from '../../shared/errors/app-error.js';
import { networkOf } from '../throttling/networks.js';
import type { Throttle, Throttles } from '../throttling/throttles.js';
import { tooManyRequests } from '../throttling/too-many-requests.js';

/** Whose password is tried, and from where. */
export interface PasswordTry {
  readonly emailCanonical: string;
  readonly ip: string | undefined;
  /** The session that the try is made in; at a login, whether its owner has logged in from this network before. */
  readonly within: { readonly sessionId: number } | { isKnownNetwork(): Promise<boolean> };
  /** Called at the first try that is refused until the limit is whole again, and at none of the flood after it. */
  readonly onLock: () => Promise<void>;
}

/** Bounds how often passwords can be guessed. */
export interface PasswordGuard {
  /**
   * Counts a try before the password is compared, so that tries at once cannot outrun the count, and lets it through
   * or not. A try that succeeds is given back.
   * @throws {AppError} `too_many_attempts`, whether the password is right or not and whether the account exists or not.
   */
  attempt<T>(attempt: PasswordTry, compare: () => Promise<T | undefined>): Promise<T | undefined>;
}

/** One person who has forgotten which password it was. */
const PER_ACCOUNT_AND_NETWORK = { name: 'password-network', points: 5, seconds: 15 * 60 };
/** Many networks against one account. Networks from which its owner has logged in before are not locked out. */
const PER_ACCOUNT = { name: 'password-account', points: 20, seconds: 60 * 60 };
/** Somebody with a stolen token and many networks. Its owner can still log in, and end the session. */
const PER_SESSION = { name: 'password-session', points: 20, seconds: 60 * 60 };

/** OWASP Authentication Cheat Sheet, "Protect against automated attacks"; keyed by address whether it exists or not. */
export function createPasswordGuard(throttles: Throttles): PasswordGuard {
  const perNetwork = throttles(PER_ACCOUNT_AND_NETWORK);
  const perAccount = throttles(PER_ACCOUNT);
  const perSession = throttles(PER_SESSION);

  /** The wider of the two limits: what bounds tries from many networks, if anything does. */
  async function widerOf({ within, emailCanonical }: PasswordTry): Promise<[Throttle, string][]> {
    if ('sessionId' in within) return [[perSession, String(within.sessionId)]];
    return (await within.isKnownNetwork()) ? [] : [[perAccount, emailCanonical]];
  }

  return {
    async attempt(attempt, compare) {
      const take = async ([throttle, key]: [Throttle, string]): Promise<void> => {
        const left = await throttle.consume(key);
        if (left.isFirstRefusal) await attempt.onLock();
        if (left.isExceeded) throw tooManyRequests(left);
      };
      const here = `${attempt.emailCanonical}\0${networkOf(attempt.ip)}`;
      await take([perNetwork, here]);
      const wider = await widerOf(attempt);
      for (const each of wider) await take(each);
      const giveBack = async (): Promise<void> => {
        for (const [throttle, key] of wider) await throttle.refund(key);
      };
      let result: Awaited<ReturnType<typeof compare>>;
      try {
        result = await compare();
      } catch (error) {
        // Refused for want of room, not for a wrong password: that is not held against anybody.
        if (error instanceof AppError && error.code === 'overloaded') {
          await perNetwork.refund(here);
          await giveBack();
        }
        throw error;
      }
      if (result === undefined) return undefined;
      // Programs that log in side by side with the right password may have run into the limit together: all is forgotten.
      await perNetwork.forget(here);
      await giveBack();
      return result;
    },
  };
}
