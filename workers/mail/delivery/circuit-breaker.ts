import { EventEmitter, once } from 'node:events';
import type { Logger } from '../../../shared/logging/logger.js';
import type { Metrics } from '../../../shared/metrics/metrics.js';
import type { DependencyFaults } from '../../jobs/dependency-faults.js';

/**
 * Stops mails from being sent to a mail server that is unreachable. Closed, all mails pass. A failure opens it: no mail
 * passes during a pause that grows with each failure. Then it is half-open: one mail at a time probes the server, and the
 * first that reaches it closes the breaker. So does {@link closeBreaker}.
 */
export interface CircuitBreaker {
  readonly onChange: (state: 'open' | 'closed') => void;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly inFlight: Set<SendPermit>;
  /** Emits `change` whenever a permit's or the breaker's state has changed. */
  readonly changes: EventEmitter;
  /** Failures since the server was last reached; 0 when closed. */
  failures: number;
  openUntil: number;
  /** When a mail last failed to reach the server, by `now`. */
  failedAt: number;
  /** How many mails have reached the server. */
  successes: number;
  /** The permit that probes the server while half-open. */
  probe: SendPermit | undefined;
}

/** Permission to send one mail. Must be released, whatever was recorded before. */
export interface SendPermit {
  readonly breaker: CircuitBreaker;
  /** The breaker's successes when the permit was granted. */
  readonly successesBefore: number;
  hasSession: boolean;
  /** Its mail is not being sent yet, so it has no connection and counts for no other mail. */
  isPreparing: boolean;
  /** Waits in {@link othersGetThrough} itself. */
  isWaiting: boolean;
}

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 10_000;
/** How soon other mails ask again while one probes the server. */
const PAUSE_DURING_PROBE_MS = 1_000;
/** How long a mail without a session waits for the outcome of others. */
const WAIT_FOR_OTHERS_MS = 5_000;

/**
 * A closed circuit breaker.
 * @param onChange called once when it opens and once when it closes again.
 */
export function createCircuitBreaker(
  onChange: CircuitBreaker['onChange'] = () => undefined,
  now: () => number = () => performance.now(),
): CircuitBreaker {
  return {
    onChange,
    now,
    inFlight: new Set(),
    changes: new EventEmitter().setMaxListeners(0),
    failures: 0,
    openUntil: 0,
    failedAt: -Infinity,
    successes: 0,
    probe: undefined,
  };
}

/** A worker's breaker, whose changes are logged and seen in the worker's faults and metrics. */
export function createMailBreaker({
  faults,
  metrics,
  log,
}: {
  readonly faults: DependencyFaults;
  readonly metrics: Pick<Metrics, 'collect'>;
  readonly log: Logger;
}): CircuitBreaker {
  const breaker = createCircuitBreaker((state) => {
    if (state === 'open') {
      log.warn('SMTP server unreachable; mails wait');
      faults.raise('smtp_circuit', 'the mail server is out of reach');
    } else {
      log.info('SMTP server recovered');
      faults.clear('smtp_circuit');
    }
  });
  metrics.collect(['rollcall_smtp_circuit_open'], () => ({
    rollcall_smtp_circuit_open: [{ value: isOpen(breaker) ? 1 : 0 }],
  }));
  return breaker;
}

/** True from a failure until the server is reached, the pauses and the probes between them included. */
export const isOpen = ({ failures }: CircuitBreaker): boolean => failures > 0;

/** Returns a permit, or the milliseconds to pause before asking again. */
export function requestPermit(breaker: CircuitBreaker): SendPermit | number {
  if (breaker.failures === 0) return grantPermit(breaker);
  if (breaker.probe) return PAUSE_DURING_PROBE_MS;
  const pauseMs = Math.ceil(breaker.openUntil - breaker.now());
  if (pauseMs > 0) return pauseMs;
  breaker.probe = grantPermit(breaker);
  return breaker.probe;
}

function grantPermit(breaker: CircuitBreaker): SendPermit {
  const permit = {
    breaker,
    successesBefore: breaker.successes,
    hasSession: false,
    isPreparing: false,
    isWaiting: false,
  };
  breaker.inFlight.add(permit);
  return permit;
}

/** Ends a permit; if it was the probe, the next mail probes. Idempotent. */
export function releasePermit(permit: SendPermit): void {
  const { breaker } = permit;
  if (breaker.probe === permit) breaker.probe = undefined;
  breaker.inFlight.delete(permit);
  breaker.changes.emit('change');
}

/** Records that the server replied, whatever the reply: closes the breaker. */
export function recordReached({ breaker }: SendPermit): void {
  breaker.successes += 1;
  closeBreaker(breaker);
}

/** Closes the breaker, without a mail of its own that has reached the server. */
export function closeBreaker(breaker: CircuitBreaker): void {
  const wasOpen = isOpen(breaker);
  breaker.failures = 0;
  breaker.probe = undefined;
  breaker.changes.emit('change');
  if (wasOpen) breaker.onChange('closed');
}

/** Records that the server was unreachable: opens the breaker. Returns how many milliseconds to pause. */
export function recordUnreachable(permit: SendPermit): number {
  const { breaker } = permit;
  breaker.failedAt = breaker.now();
  // Mails in flight when the first one failed are part of the same failure.
  if (breaker.failures === 0 || breaker.probe === permit) {
    breaker.failures += 1;
    breaker.openUntil = breaker.now() + pauseAfter(breaker.failures);
    if (breaker.failures === 1) breaker.onChange('open');
  }
  releasePermit(permit);
  return Math.max(Math.ceil(breaker.openUntil - breaker.now()), 1);
}

const pauseAfter = (failures: number): number =>
  Math.min(FIRST_PAUSE_MS * 2 ** (failures - 1), MAX_PAUSE_MS);

/** Records that a session is open for the mail. */
export function recordSession(permit: SendPermit): void {
  permit.hasSession = true;
  permit.breaker.changes.emit('change');
}

/** How long a mail that is prepared has to pause after all, since the server became unreachable meanwhile; 0 if it may be sent. */
export function pauseBeforeSending(permit: SendPermit): number {
  const { breaker } = permit;
  if (breaker.failures === 0 || breaker.probe === permit) return 0;
  return Math.max(Math.ceil(breaker.openUntil - breaker.now()), PAUSE_DURING_PROBE_MS);
}

/** How many other mails are being sent. */
export const countOthers = (permit: SendPermit): number => othersOf(permit).length;

/** True when another mail has reached the server since the permit was granted. */
export const haveOthersReached = ({ breaker, successesBefore }: SendPermit): boolean =>
  breaker.successes > successesBefore;

/**
 * For a mail that got no session: waits, a few seconds at most, for the mails in flight. True as soon as one of them
 * reaches the server; if the server has `replied`, an open session is enough.
 */
export async function othersGetThrough(permit: SendPermit, hasReplied: boolean): Promise<boolean> {
  const { changes } = permit.breaker;
  permit.isWaiting = true;
  changes.emit('change');
  const isServed = (): boolean =>
    haveOthersReached(permit) ||
    (hasReplied && othersOf(permit).some(({ hasSession }) => hasSession));
  const timeout = AbortSignal.timeout(WAIT_FOR_OTHERS_MS);
  while (!isServed() && othersOf(permit).some(({ isWaiting }) => !isWaiting)) {
    try {
      await once(changes, 'change', { signal: timeout });
    } catch {
      // Timed out without an outcome.
      break;
    }
  }
  return isServed();
}

const othersOf = (permit: SendPermit): SendPermit[] =>
  [...permit.breaker.inFlight].filter((other) => other !== permit && !other.isPreparing);
