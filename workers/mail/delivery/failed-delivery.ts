import type { Database } from '../../../shared/database/connect.js';
import { isDatabaseUnavailable, mayConcernOneRow } from '../../../shared/database/failures.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { maskError } from '../../../shared/logging/mask.js';
import type { LabelsOf } from '../../../shared/metrics/catalogue.js';
import type { Metrics } from '../../../shared/metrics/metrics.js';
import { MISCONFIGURED_PAUSE_MS, type DependencyFaults } from '../../jobs/dependency-faults.js';
import {
  JobReturned,
  JobDelayed,
  PermanentFailure,
  QueueThrottledJobDelayed,
  QueueThrottled,
} from '../../jobs/job-effects.js';
import type { JobContext } from '../../jobs/run-job.js';
import { MailFailure } from '../mail.port.js';
import type { ConnectionLimit } from '../smtp/connection-limit.js';
import {
  countOthers,
  haveOthersReached,
  othersGetThrough,
  recordReached,
  recordUnreachable,
  type SendPermit,
} from './circuit-breaker.js';
import { ClaimLost } from './claim-keeper.js';
import { fieldsOf, type ClaimedMessage } from './outbox-claim.js';
import { recordFailedAttempt, type FailedAttempt, type NextState } from './outbox-outcome.js';
import {
  hasSentWithin,
  isAboutThisMail,
  reopenRefusedSeries,
  type RefusedSeries,
} from './refusal-history.js';

export interface FailureDeps {
  readonly database: Database;
  readonly faults: DependencyFaults;
  readonly connections: ConnectionLimit;
  readonly metrics: Metrics;
  readonly log: Logger;
  /** The name of this process in deliveries. */
  readonly worker: string;
}

/** One attempt to deliver a message. */
export interface DeliveryAttempt {
  readonly permit: SendPermit;
  readonly context: JobContext;
  readonly message: ClaimedMessage;
  /** How often the content was transmitted without an answer, as far as known before the failure. */
  readonly transmissions: number;
}

/** How often the content is transmitted at most when no answer comes. */
export const MAX_COPIES = 3;
/** How long the queue pauses while PostgreSQL is unavailable. */
export const DATABASE_PAUSE_MS = 2_000;
/** Added to the delay of a mail that met a misconfiguration, so that another one probes first. */
const ANOTHER_FIRST_MS = 10_000;
const CONNECTION_REFUSED_DELAY_MS = 1_000;
/** A mail that was sent so recently shows that the server is up, and takes our mails. */
const RECENTLY_MS = 5_000;
/** At shutdown: time for the provider's event or another copy of the job to settle the message. */
const UNANSWERED_AT_STOP_DELAY_MS = 10_000;
const CLAIM_LOST_DELAY_MS = 1_000;
const FIRST_SERIES_PAUSE_MS = 5_000;
const MAX_SERIES_PAUSE_MS = 60_000;

/** The content was transmitted as often as allowed, and it is uncertain whether the server accepted it. */
export class PerhapsSent extends PermanentFailure {
  constructor(why: string) {
    super(`perhaps sent: the content was sent ${MAX_COPIES} times without an answer: ${why}`);
  }
}

/**
 * Records why the attempt failed, in the database, the circuit breaker, the connection limit and the readiness check of the
 * mail server.
 * @returns the error that says what happens to the job.
 */
export async function recordFailure(
  deps: FailureDeps,
  attempt: DeliveryAttempt,
  thrown: unknown,
): Promise<Error> {
  const { context, message, transmissions } = attempt;
  const isUnanswered = thrown instanceof MailFailure && thrown.effect === 'unanswered';
  const effect = await effectOnJob(deps, attempt, thrown);
  const outcome =
    isUnanswered && transmissions >= MAX_COPIES ? new PerhapsSent(effect.message) : effect;
  const next = nextStateAfter(outcome, context);
  countFailure(deps, thrown);
  const failed: FailedAttempt = {
    outcome: next === 'dead' && outcome instanceof PermanentFailure ? 'refused' : 'deferred',
    response: outcome.message,
    isCounted: isCounted(outcome),
    isAnswered: transmissions > message.unanswered && !isUnanswered,
  };
  try {
    const series = await recordOutcome(deps, message, thrown, failed, next);
    if (series) return pauseAfterSeries(deps, message, series, outcome.message);
  } catch (error) {
    // The claim expires by itself; what the job does next decides what happens to the message.
    deps.log.warn({ ...fieldsOf(message), err: maskError(error) }, 'failed attempt not recorded');
    const unavailable = effectOfDatabase(error);
    if (unavailable) return unavailable;
  }
  return next === 'open' || outcome instanceof PermanentFailure
    ? outcome
    : new PermanentFailure(outcome.message, { cause: outcome.cause });
}

/** Writes the outcome and counts it. Resolves to the series of refused mails that it completes, if there is one. */
async function recordOutcome(
  deps: FailureDeps,
  message: ClaimedMessage,
  thrown: unknown,
  failed: FailedAttempt,
  next: NextState,
): Promise<RefusedSeries | undefined> {
  const { database, log } = deps;
  let written: NextState | undefined;
  try {
    if (await recordFailedAttempt(database, message, failed, next)) written = next;
    else log.warn(fieldsOf(message), 'outbox message changed during delivery');
    if (!(thrown instanceof MailFailure && thrown.isUnclear)) return undefined;
    const series = await reopenRefusedSeries(database, thrown.message);
    // Another mail of the series may have reopened it.
    if (written && series?.messages.has(message.id)) written = 'open';
    return series;
  } finally {
    if (written) countOutcome(deps, thrown, written);
  }
}

type FailureLabels = LabelsOf<'rollcall_mail_failures_total'>;

function countFailure({ metrics }: FailureDeps, thrown: unknown): void {
  const isMailFailure = thrown instanceof MailFailure;
  const effect: FailureLabels['effect'] = isMailFailure ? thrown.effect : 'own';
  const reply: FailureLabels['reply'] = isMailFailure ? replyClassOf(thrown) : 'none';
  metrics.count('rollcall_mail_failures_total', { effect, reply });
}

/** By what was written. The mails that a stopping worker returns are counted as `abort`, and have no outcome: they wait as before. */
function countOutcome({ metrics }: FailureDeps, thrown: unknown, written: NextState): void {
  if (thrown instanceof MailFailure && thrown.effect === 'abort') return;
  const outcome = written === 'open' ? 'deferred' : written;
  metrics.count('rollcall_mail_outcomes_total', { outcome });
}

/** By the message, which begins with the reply if there was one. */
function replyClassOf({ message }: MailFailure): FailureLabels['reply'] {
  const [, digit] = /^([45])\d\d\b/.exec(message) ?? [];
  if (digit === undefined) return 'none';
  return digit === '4' ? '4xx' : '5xx';
}

function nextStateAfter(outcome: Error, { isLastAttempt }: JobContext): NextState {
  if (outcome instanceof PerhapsSent) return 'uncertain';
  if (outcome instanceof PermanentFailure) return 'dead';
  return isLastAttempt && isCounted(outcome) ? 'dead' : 'open';
}

/** Whether the attempt counts against the mail. */
const isCounted = (outcome: Error): boolean =>
  !(
    outcome instanceof QueueThrottled ||
    outcome instanceof JobReturned ||
    outcome instanceof JobDelayed
  );

/** What the failure means for the job. Updates the circuit breaker, the connection limit and the faults. */
async function effectOnJob(
  deps: FailureDeps,
  attempt: DeliveryAttempt,
  thrown: unknown,
): Promise<Error> {
  if (!(thrown instanceof MailFailure)) return effectOfOwnError(thrown);
  const { message } = thrown;
  const { permit, context } = attempt;
  switch (thrown.effect) {
    case 'unreachable':
      return (await isServerUp(deps, permit, thrown.hasReply))
        ? connectionRefused(deps, permit, message)
        : serverUnreachable(permit, message);
    case 'lost':
      // If others got through meanwhile, the mail is the cause, else an outage.
      return haveOthersReached(permit) ? new Error(message) : serverUnreachable(permit, message);
    case 'unanswered':
      if (context.signal.aborted) return new JobDelayed(message, UNANSWERED_AT_STOP_DELAY_MS);
      return haveOthersReached(permit) ? new Error(message) : serverUnreachable(permit, message);
    case 'retry':
      recordReached(permit);
      return new Error(message);
    case 'refuse':
      recordReached(permit);
      return new PermanentFailure(message);
    case 'throttle':
      recordReached(permit);
      return throttled(deps, thrown);
    case 'misconfigured':
      recordReached(permit);
      return misconfigured(deps, attempt.message, thrown);
    case 'abort':
      return new JobReturned();
  }
}

function serverUnreachable(permit: SendPermit, message: string): Error {
  const pauseMs = recordUnreachable(permit);
  const why = `the mail server is out of reach: ${message}`;
  return new QueueThrottledJobDelayed(why, pauseMs, pauseMs + Math.ceil(Math.random() * pauseMs));
}

async function isServerUp(
  { database, worker }: FailureDeps,
  permit: SendPermit,
  hasReplied: boolean,
): Promise<boolean> {
  if (await othersGetThrough(permit, hasReplied)) return true;
  return falseIfUnavailable(hasSentWithin(database, RECENTLY_MS, { notBy: worker }));
}

/** The server is up, but does not accept so many connections at once. */
function connectionRefused(
  { connections }: FailureDeps,
  permit: SendPermit,
  message: string,
): Error {
  connections.refused(countOthers(permit));
  const why = `the mail server takes no further connection: ${message}`;
  return new JobDelayed(why, CONNECTION_REFUSED_DELAY_MS * (0.5 + Math.random()));
}

function throttled({ faults }: FailureDeps, thrown: MailFailure): Error {
  const { message, pauseMs, isQuotaUsedUp } = thrown;
  if (isQuotaUsedUp) faults.raise('smtp', message);
  return new QueueThrottled(message, pauseMs ?? MISCONFIGURED_PAUSE_MS);
}

async function misconfigured(
  { database, faults }: FailureDeps,
  failed: ClaimedMessage,
  { message, repliesToRecipient }: MailFailure,
): Promise<Error> {
  if (await falseIfUnavailable(isAboutThisMail(database, failed, message)))
    return new Error(message);
  const delayMs = MISCONFIGURED_PAUSE_MS + Math.ceil(Math.random() * ANOTHER_FIRST_MS);
  // Otherwise one mailbox could hold up the mails to all others again and again.
  if (repliesToRecipient && (await falseIfUnavailable(hasSentWithin(database, RECENTLY_MS))))
    return new JobDelayed(message, delayMs);
  faults.raise('smtp', message);
  return new QueueThrottledJobDelayed(message, MISCONFIGURED_PAUSE_MS, delayMs);
}

/** The effect of an error that did not come from the mail server. */
function effectOfOwnError(thrown: unknown): Error {
  const unavailable = effectOfDatabase(thrown);
  if (unavailable) return unavailable;
  if (thrown instanceof ClaimLost) return new JobDelayed(thrown.message, CLAIM_LOST_DELAY_MS);
  const isEffect =
    thrown instanceof PermanentFailure ||
    thrown instanceof JobDelayed ||
    thrown instanceof QueueThrottled;
  return isEffect ? thrown : maskError(thrown);
}

/**
 * The effect of an error of PostgreSQL that is no fault of the mail, otherwise `undefined`. What may be about this mail's rows
 * alone, such as a lock that it does not get, delays no other mail.
 */
function effectOfDatabase(error: unknown): JobDelayed | QueueThrottled | undefined {
  if (!isDatabaseUnavailable(error)) return undefined;
  if (mayConcernOneRow(error))
    return new JobDelayed(
      'the database could not finish a statement about this mail: its row may be locked',
      DATABASE_PAUSE_MS,
    );
  return new QueueThrottled('the database is unavailable', DATABASE_PAUSE_MS, { cause: error });
}

/** The same answer to several mails in a row is about the sender: those mails were reopened, and the queue pauses. */
function pauseAfterSeries(
  { faults, log }: FailureDeps,
  message: ClaimedMessage,
  { reopened, attempts }: RefusedSeries,
  answer: string,
): QueueThrottled {
  faults.raise('smtp', answer);
  log.warn(
    { ...fieldsOf(message), 'labels.mails': reopened, 'event.reason': answer },
    'SMTP server rejects all mail; messages reopened',
  );
  const pauseMs = Math.min(
    (FIRST_SERIES_PAUSE_MS * 2 ** Math.min(attempts, 10)) / 2 ** 3,
    MAX_SERIES_PAUSE_MS,
  );
  return new QueueThrottled(answer, pauseMs);
}

/** While the database is unavailable the answer is unknown; recording the failure will report that. */
async function falseIfUnavailable(answer: Promise<boolean>): Promise<boolean> {
  try {
    return await answer;
  } catch (error) {
    if (isDatabaseUnavailable(error)) return false;
    throw error;
  }
}
