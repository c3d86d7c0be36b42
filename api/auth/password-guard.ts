import { AppError } from '../../shared/errors/app-error.js';
import { tooManyRequests } from '../http/throttle-requests.js';
import { networkOf } from '../http/networks.js';
import type { Throttle, Throttles } from '../http/throttles.js';

/** Whose password is tried, and from where. */
export interface PasswordTry {
  readonly emailCanonical: string;
  readonly ip: string | undefined;
  /** True when the account has been logged in to from this network before. */
  readonly isKnownNetwork: () => Promise<boolean>;
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

/** OWASP Authentication Cheat Sheet, "Protect against automated attacks"; keyed by address whether it exists or not. */
export function createPasswordGuard(throttles: Throttles): PasswordGuard {
  const perNetwork = throttles(PER_ACCOUNT_AND_NETWORK);
  const perAccount = throttles(PER_ACCOUNT);

  return {
    async attempt({ emailCanonical, ip, isKnownNetwork, onLock }, compare) {
      const take = async (throttle: Throttle, key: string): Promise<void> => {
        const left = await throttle.consume(key);
        if (left.isFirstRefusal) await onLock();
        if (left.isExceeded) throw tooManyRequests(left);
      };
      const here = `${emailCanonical}\0${networkOf(ip)}`;
      await take(perNetwork, here);
      const isStranger = !(await isKnownNetwork());
      if (isStranger) await take(perAccount, emailCanonical);
      const giveBack = async (): Promise<void> => {
        await perNetwork.refund(here);
        if (isStranger) await perAccount.refund(emailCanonical);
      };
      let result: Awaited<ReturnType<typeof compare>>;
      try {
        result = await compare();
      } catch (error) {
        // Refused for want of room, not for a wrong password: that is not held against anybody.
        if (error instanceof AppError && error.code === 'overloaded') await giveBack();
        throw error;
      }
      if (result !== undefined) await giveBack();
      return result;
    },
  };
}
