import { EventEmitter, once } from 'node:events';

/** A mail that may be tried. What is learnt of the server is told once, if anything is; ended it must be in any case. */
export interface MailTrial {
  /** The server has answered, whatever it said. */
  reached(): void;
  /** The server was out of reach. Returns how many milliseconds everything should rest. */
  failed(): number;
  /** Makes way for the next mail, should this be the one that tries. Safe after the others, and twice. */
  end(): void;
  /** A session is open for the mail. */
  openedSession(): void;
  /** How many other mails are under way here. */
  others(): number;
  /** True when another mail has reached the server since this trial began. */
  othersGotThrough(): boolean;
  /**
   * Asked when no session could be had: waits, a few seconds at most, for those that are under way here. True as soon as
   * one of them reaches the server; if the server has `replied`, an open session will do.
   */
  othersGetThrough(hasReplied: boolean): Promise<boolean>;
}

/**
 * Keeps mails from running into a mail server that is out of reach: once it has failed, one mail at a time tries
 * whether it is back, after growing pauses. With the first that gets through, all may go again.
 */
export interface MailBreaker {
  /** Asks to try a mail: a trial, or how many milliseconds to rest first. */
  enter(): MailTrial | number;
}

const FIRST_REST_MS = 1_000;
const MAX_REST_MS = 10_000;
/** While one mail tries, the others look again this soon. */
const WHILE_TRYING_MS = 1_000;
/** So long one that got no session waits to see how others fare. */
const WAIT_FOR_OTHERS_MS = 5_000;

/** A trial that has not ended, as the others see it. */
interface UnderWay {
  hasSession: boolean;
  /** It waits for the others itself. */
  isWaiting: boolean;
}

/**
 * A breaker that lets mails pass.
 * @param onTurn called when the server goes out of reach, and when it is back.
 * @param now a clock in milliseconds that never goes back.
 */
export function createMailBreaker(
  onTurn: (turn: 'away' | 'back') => void = () => undefined,
  now: () => number = () => performance.now(),
): MailBreaker {
  let failures = 0;
  let openUntil = 0;
  let successes = 0;
  /** The one that tries whether the server is back. */
  let scout: MailTrial | undefined;
  const underWay = new Set<UnderWay>();
  const changes = new EventEmitter().setMaxListeners(0);

  const startTrial = (): MailTrial => {
    const successesBefore = successes;
    const self: UnderWay = { hasSession: false, isWaiting: false };
    underWay.add(self);
    const others = (): UnderWay[] => [...underWay].filter((other) => other !== self);
    const gotThrough = (): boolean => successes > successesBefore;
    const trial: MailTrial = {
      reached() {
        const wasAway = failures > 0;
        failures = 0;
        successes += 1;
        scout = undefined;
        changes.emit('change');
        if (wasAway) onTurn('back');
      },
      failed() {
        // Those that were under way when the first one failed tell nothing new.
        if (failures === 0 || scout === trial) {
          failures += 1;
          openUntil = now() + restAfter(failures);
          if (failures === 1) onTurn('away');
        }
        trial.end();
        return Math.max(Math.ceil(openUntil - now()), 1);
      },
      end() {
        if (scout === trial) scout = undefined;
        underWay.delete(self);
        changes.emit('change');
      },
      openedSession() {
        self.hasSession = true;
        changes.emit('change');
      },
      others: () => others().length,
      othersGotThrough: gotThrough,
      async othersGetThrough(hasReplied) {
        self.isWaiting = true;
        changes.emit('change');
        const isServed = (): boolean =>
          gotThrough() || (hasReplied && others().some(({ hasSession }) => hasSession));
        const timeout = AbortSignal.timeout(WAIT_FOR_OTHERS_MS);
        while (!isServed() && others().some(({ isWaiting }) => !isWaiting)) {
          try {
            await once(changes, 'change', { signal: timeout });
          } catch {
            // They take their time: nobody knows.
            break;
          }
        }
        return isServed();
      },
    };
    return trial;
  };

  return {
    enter() {
      if (failures === 0) return startTrial();
      if (scout) return WHILE_TRYING_MS;
      const pauseMs = Math.ceil(openUntil - now());
      if (pauseMs > 0) return pauseMs;
      scout = startTrial();
      return scout;
    },
  };
}

const restAfter = (failures: number): number =>
  Math.min(FIRST_REST_MS * 2 ** (failures - 1), MAX_REST_MS);
