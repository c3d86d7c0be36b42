import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import type { Database } from '../../shared/database/connect.js';
import type { Logger } from '../../shared/logging/logger.js';
import { PermanentFailure, QueueThrottled } from '../jobs/job-effects.js';
import type { JobContext } from '../jobs/run-job.js';
import { maskError } from '../mask.js';
import { DATABASE_REST_MS, isCounted, judgeFailure, type VerdictDeps } from './mail-verdict.js';
import type { MailTrial } from './mail-breaker.js';
import { MailFailure } from './mail.port.js';
import type { ClaimedMessage } from './outbox-claim.js';
import { recordFailedTry, type Failure, type NextState } from './outbox-outcome.js';
import { reopenRefusedSeries } from './refusal-history.js';

export interface RecordFailureDeps extends VerdictDeps {
  readonly database: Database;
  readonly log: Logger;
}

/** A try that failed. */
export interface Attempted {
  readonly trial: MailTrial;
  readonly context: JobContext;
  readonly message: ClaimedMessage;
  /** How often the content was handed over without an answer, as far as known before this failure. */
  readonly handedOver: number;
}

/** A mail whose content was handed over so often without an answer is handed over no more. */
export const MAX_COPIES = 3;

const FIRST_SERIES_REST_MS = 5_000;
const MAX_SERIES_REST_MS = 60_000;

/** The content was handed over as often as it may be, and nobody knows whether the server has it. */
export class PerhapsSent extends PermanentFailure {
  constructor(why: string) {
    super(
      `perhaps sent: the content was handed over ${MAX_COPIES} times without an answer: ${why}`,
    );
  }
}

/** Records how the try failed, and resolves to the error that says what is to happen next. */
export async function recordFailure(
  deps: RecordFailureDeps,
  attempted: Attempted,
  thrown: unknown,
): Promise<Error> {
  const { trial, context, message, handedOver } = attempted;
  const { database, log } = deps;
  const isUnanswered = thrown instanceof MailFailure && thrown.effect === 'unanswered';
  const failed = { trial, message, isStopping: context.signal.aborted };
  const judged = await judgeFailure(deps, failed, thrown);
  const verdict =
    isUnanswered && handedOver >= MAX_COPIES ? new PerhapsSent(judged.message) : judged;
  const next = nextStateOf(verdict, context);
  const failure: Failure = {
    outcome: next === 'dead' && verdict instanceof PermanentFailure ? 'refused' : 'deferred',
    response: verdict.message,
    isCounted: isCounted(verdict),
    isAnswered: handedOver > message.unanswered && !isUnanswered,
  };
  try {
    if (!(await recordFailedTry(database, message, failure, next)))
      log.warn({ 'labels.outbox_id': message.id }, 'outbox message changed during delivery');
    if (thrown instanceof MailFailure && thrown.isUnclear)
      return (await restIfAllAreRefused(deps, thrown.message)) ?? verdict;
  } catch (error) {
    // The claim runs out by itself; what the job does next decides what becomes of the message.
    log.warn(
      { 'labels.outbox_id': message.id, err: maskError(error) },
      'failed attempt not recorded',
    );
    if (isDatabaseUnavailable(error))
      return new QueueThrottled('the database is unavailable', DATABASE_REST_MS);
  }
  return next === 'open' || verdict instanceof PermanentFailure
    ? verdict
    : new PermanentFailure(verdict.message, { cause: verdict.cause });
}

function nextStateOf(verdict: Error, { isLastAttempt }: JobContext): NextState {
  if (verdict instanceof PerhapsSent) return 'uncertain';
  if (verdict instanceof PermanentFailure) return 'dead';
  return isLastAttempt && isCounted(verdict) ? 'dead' : 'open';
}

/** An answer that several mails in a row got is about whoever sends: those mails are put back, and the queue rests. */
async function restIfAllAreRefused(
  { database, faults, log }: RecordFailureDeps,
  answer: string,
): Promise<Error | undefined> {
  const series = await reopenRefusedSeries(database, answer);
  if (!series) return undefined;
  faults.raise('smtp', answer);
  log.warn(
    { 'labels.mails': series.reopened, 'event.reason': answer },
    'SMTP server rejects all mail; messages reopened',
  );
  const pauseMs = Math.min(
    (FIRST_SERIES_REST_MS * 2 ** Math.min(series.tries, 10)) / 2 ** 3,
    MAX_SERIES_REST_MS,
  );
  return new QueueThrottled(answer, pauseMs);
}
