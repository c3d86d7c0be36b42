import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import type { Database } from '../../shared/database/connect.js';
import type { DependencyFaults } from '../jobs/dependency-faults.js';
import {
  JobReturned,
  JobDelayed,
  PermanentFailure,
  QueueThrottledJobDelayed,
  QueueThrottled,
} from '../jobs/job-effects.js';
import { maskError } from '../mask.js';
import { ClaimLost } from './claim-keeper.js';
import type { ConnectionLimit } from './connection-limit.js';
import type { MailTrial } from './mail-breaker.js';
import { MailFailure } from './mail.port.js';
import type { ClaimedMessage } from './outbox-claim.js';
import { hasAnotherWorkerSent, isToldApart } from './refusal-history.js';

export interface VerdictDeps {
  readonly database: Database;
  readonly faults: DependencyFaults;
  readonly connections: ConnectionLimit;
  readonly worker: string;
}

/** The try that failed. */
export interface FailedTry {
  readonly trial: MailTrial;
  readonly message: ClaimedMessage;
  /** The process is about to end. */
  readonly isStopping: boolean;
}

/** How long the queue rests while PostgreSQL is away. */
export const DATABASE_REST_MS = 2_000;
const MISCONFIGURED_REST_MS = 60_000;
/** Another mail is to find out whether all is well again. */
const ANOTHER_FIRST_MS = 10_000;
const CROWDED_DELAY_MS = 1_000;
/** Another worker's mail that was sent so lately shows that the server serves. */
const LATELY_MS = 5_000;
/** Time for whoever knows that the mail was sent to say so. */
const UNANSWERED_AT_STOP_DELAY_MS = 10_000;
const CLAIM_LOST_DELAY_MS = 1_000;

/** What a failure means for the job. What it tells of the mail server is passed on to breaker, limit and fault board. */
export async function judgeFailure(
  deps: VerdictDeps,
  failed: FailedTry,
  thrown: unknown,
): Promise<Error> {
  if (!(thrown instanceof MailFailure)) return verdictOfOwn(thrown);
  const { message } = thrown;
  const { trial, isStopping } = failed;
  switch (thrown.effect) {
    case 'unreachable':
      return (await doOthersGetThrough(deps, trial, thrown.hasReply))
        ? crowded(deps, trial, message)
        : outOfReach(trial, message);
    case 'lost':
      // What ended the connection may be the mail or an outage: the mail, if others got through meanwhile.
      return trial.othersGotThrough() ? new Error(message) : outOfReach(trial, message);
    case 'unanswered':
      if (isStopping) return new JobDelayed(message, UNANSWERED_AT_STOP_DELAY_MS);
      return trial.othersGotThrough() ? new Error(message) : outOfReach(trial, message);
    case 'retry':
      trial.reached();
      return new Error(message);
    case 'refuse':
      trial.reached();
      return new PermanentFailure(message);
    case 'throttle':
      trial.reached();
      return throttled(deps, thrown);
    case 'misconfigured':
      trial.reached();
      return misconfigured(deps, failed.message, message);
    case 'abort':
      return new JobReturned();
  }
}

function outOfReach(trial: MailTrial, message: string): Error {
  const awayMs = trial.failed();
  const why = `the mail server is out of reach: ${message}`;
  return new QueueThrottledJobDelayed(why, awayMs, awayMs + Math.ceil(Math.random() * awayMs));
}

async function doOthersGetThrough(
  { database, worker }: VerdictDeps,
  trial: MailTrial,
  hasReplied: boolean,
): Promise<boolean> {
  if (await trial.othersGetThrough(hasReplied)) return true;
  return orIfUnknown(false, hasAnotherWorkerSent(database, worker, LATELY_MS));
}

/** The server serves, but not so many at once. */
function crowded({ connections }: VerdictDeps, trial: MailTrial, message: string): Error {
  connections.refused(trial.others());
  const why = `the mail server takes no further connection: ${message}`;
  return new JobDelayed(why, CROWDED_DELAY_MS * (0.5 + Math.random()));
}

function throttled({ faults }: VerdictDeps, thrown: MailFailure): Error {
  const { message, pauseMs, isQuotaUsedUp } = thrown;
  if (isQuotaUsedUp) faults.raise('smtp', message);
  return new QueueThrottled(message, pauseMs ?? MISCONFIGURED_REST_MS);
}

async function misconfigured(
  { database, faults }: VerdictDeps,
  failed: ClaimedMessage,
  message: string,
): Promise<Error> {
  if (await orIfUnknown(false, isToldApart(database, failed, message))) return new Error(message);
  faults.raise('smtp', message);
  const delayMs = MISCONFIGURED_REST_MS + Math.ceil(Math.random() * ANOTHER_FIRST_MS);
  return new QueueThrottledJobDelayed(message, MISCONFIGURED_REST_MS, delayMs);
}

/** What a failure means that came before any mail server was asked. */
function verdictOfOwn(thrown: unknown): Error {
  if (isDatabaseUnavailable(thrown))
    return new QueueThrottled('the database is unavailable', DATABASE_REST_MS);
  if (thrown instanceof ClaimLost) return new JobDelayed(thrown.message, CLAIM_LOST_DELAY_MS);
  const isVerdict = thrown instanceof PermanentFailure || thrown instanceof JobDelayed;
  return isVerdict ? thrown : maskError(thrown);
}

/** Whether the try counts against the mail. */
export const isCounted = (verdict: Error): boolean =>
  !(
    verdict instanceof QueueThrottled ||
    verdict instanceof JobReturned ||
    verdict instanceof JobDelayed
  );

/** With the database away the answer is not known; that it is away shows when the try is recorded. */
async function orIfUnknown<T>(otherwise: T, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (isDatabaseUnavailable(error)) return otherwise;
    throw error;
  }
}
