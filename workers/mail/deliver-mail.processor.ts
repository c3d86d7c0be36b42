import { setTimeout as delay } from 'node:timers/promises';
import type * as z from 'zod';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import type { Failpoint } from '../../shared/lifecycle/failpoint.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { OutboxJobData } from '../../shared/outbox/outbox-job.js';
import type { FaultBoard } from '../jobs/fault-board.js';
import {
  JobHandedBack,
  JobPostponed,
  PermanentFailure,
  QueueCutOff,
  QueueResting,
  QueueThrottled,
} from '../jobs/job-effects.js';
import type { JobContext, Processor } from '../jobs/start-worker.js';
import { maskError } from '../mask.js';
import { composeMail } from './compose-mail.js';
import { createMailBreaker, type MailTrial } from './mail-breaker.js';
import type { MailSources } from './mail-sources.js';
import { MailFailure, type Mailer } from './mail.port.js';
import { claimMessage, type ClaimedMessage } from './outbox-claim.js';
import {
  buryMessage,
  releaseMessage,
  settleMessage,
  type Failure,
  type Settlement,
} from './outbox-outcome.js';

/** What delivering is made of. */
export interface DeliverMailDeps extends MailSources {
  readonly mailer: Mailer;
  readonly faults: FaultBoard;
  readonly failpoint: Failpoint;
  readonly log: Logger;
  /** How this process is called in deliveries. */
  readonly worker: string;
  /** How long a message is this worker's alone; longer than a send may take. */
  readonly claimMs: number;
}

const DATABASE_REST_MS = 2_000;
const MISCONFIGURED_REST_MS = 60_000;
/** A mail that cannot have so long of its claim is not begun. */
const MIN_SEND_MS = 10_000;
/** What a send must leave of its claim, for the record of how it went. */
const CLAIM_MARGIN_MS = 2_000;
const SETTLE_TRIES = 8;
/** With the database gone the marker is tried for ten minutes or more: giving up means that the mail is sent again. */
const SETTLE_TRIES_DURING_OUTAGE = 1_200;
/** Short: until the marker is there, a death of this process sends the mail again. */
const MAX_SETTLE_PAUSE_MS = 500;

/**
 * Carries out one outbox message: claim, compose from the rows as they are now, hand to the mail server, record. At
 * least once: that this process dies between the server's 250 and the record of it is a way to a second copy (ADR 8
 * lists all of them). While the mail server is out of reach the queue rests, and no mail loses a try.
 */
export function createDeliverMail(
  deps: DeliverMailDeps,
): Processor<z.output<typeof OutboxJobData>> {
  const { log } = deps;
  const breaker = createMailBreaker((turn) => {
    if (turn === 'away') log.warn('the mail server is out of reach; mails wait');
    else log.info('the mail server is back');
  });
  return async (data, context) => {
    if (context.signal.aborted) throw new JobHandedBack();
    const trial = breaker.enter();
    if (typeof trial === 'number') throw new QueueResting('the mail server is out of reach', trial);
    // From before the claim: it is never held for longer than the database grants it.
    const sendUntil = performance.now() + deps.claimMs - CLAIM_MARGIN_MS;
    try {
      return await claimAndDeliver(deps, { trial, sendUntil, context }, data);
    } finally {
      trial.end();
    }
  };
}

/** What one try has to itself. */
interface Attempt {
  readonly trial: MailTrial;
  /** When a send must have ended, by the monotonic clock. */
  readonly sendUntil: number;
  readonly context: JobContext;
}

async function claimAndDeliver(
  deps: DeliverMailDeps,
  attempt: Attempt,
  { outbox_id: id, generation }: z.output<typeof OutboxJobData>,
): Promise<string> {
  const { context } = attempt;
  const claim = await claimMessage(deps.database, { id, generation }, deps).catch(
    restIfUnavailable,
  );
  context.annotate({ 'labels.outbox_id': id });
  switch (claim.kind) {
    case 'over':
      return 'already';
    case 'busy':
      throw new JobPostponed('another worker has claimed the message', claim.remainingMs);
    case 'claimed':
      context.annotate({
        'trace.id': claim.message.traceId,
        ...(claim.message.adminId !== null && { 'user.id': String(claim.message.adminId) }),
        'labels.try': claim.message.attempt,
      });
      return deliver(deps, attempt, claim.message);
  }
}

async function deliver(
  deps: DeliverMailDeps,
  attempt: Attempt,
  message: ClaimedMessage,
): Promise<string> {
  const { signal } = attempt.context;
  try {
    const mail = await composeMail(deps, message);
    if ('obsolete' in mail)
      return await settle(deps, message, { outcome: 'obsolete', response: mail.obsolete }, signal);
    const leftMs = attempt.sendUntil - performance.now();
    if (leftMs < MIN_SEND_MS)
      throw new JobPostponed('the claim has almost run out', DATABASE_REST_MS);
    const receipt = await deps.mailer.send({ id: message.id, ...mail }, signal, leftMs);
    attempt.trial.reached();
    deps.failpoint('after-250');
    await settle(deps, message, { outcome: 'sent', ...receipt }, signal);
    deps.failpoint('after-marker');
    deps.faults.clear('smtp');
    return 'sent';
  } catch (error) {
    if (error instanceof UnrecordedSuccess) throw error;
    throw await recordFailure(deps, attempt, message, error);
  }
}

/** The work is done, but the database would not hear of it. */
class UnrecordedSuccess extends Error {
  override readonly name = 'UnrecordedSuccess';
}

/** Records the end of the work, and does not give up easily: what is not recorded will be done again. */
async function settle(
  { database, log }: DeliverMailDeps,
  message: ClaimedMessage,
  settlement: Settlement,
  signal: AbortSignal,
): Promise<string> {
  for (let tries = 1; ; tries++) {
    try {
      const wasOpen = await settleMessage(database, message, settlement);
      if (!wasOpen)
        log.warn(
          { 'labels.outbox_id': message.id },
          'the message was closed while it was worked on',
        );
      return settlement.outcome;
    } catch (error) {
      const limit =
        isDatabaseUnavailable(error) && !signal.aborted ? SETTLE_TRIES_DURING_OUTAGE : SETTLE_TRIES;
      if (tries >= limit) throw new UnrecordedSuccess('done, but not recorded', { cause: error });
      await delay(Math.min(50 * 2 ** tries, MAX_SETTLE_PAUSE_MS));
    }
  }
}

/** Records how the try failed, and resolves to the error that says what is to happen next. */
async function recordFailure(
  deps: DeliverMailDeps,
  { trial, context }: Attempt,
  message: ClaimedMessage,
  thrown: unknown,
): Promise<Error> {
  const verdict = judge(thrown, deps.faults, trial);
  const isFinal =
    verdict instanceof PermanentFailure || (context.isLastAttempt && isCounted(verdict));
  const failure: Failure = {
    outcome: verdict instanceof PermanentFailure ? 'refused' : 'deferred',
    response: verdict.message,
    isCounted: isCounted(verdict),
  };
  try {
    const record = isFinal ? buryMessage : releaseMessage;
    if (!(await record(deps.database, message, failure)))
      deps.log.warn(
        { 'labels.outbox_id': message.id },
        'the message was closed while it was worked on',
      );
  } catch (error) {
    // The claim runs out by itself; what the job does next decides what becomes of the message.
    deps.log.warn(
      { 'labels.outbox_id': message.id, err: maskError(error) },
      'a failed try could not be recorded',
    );
    if (isDatabaseUnavailable(error))
      return new QueueThrottled('the database is unavailable', DATABASE_REST_MS);
  }
  return isFinal ? new PermanentFailure(verdict.message, { cause: verdict.cause }) : verdict;
}

/** What a failure means for the job. What it tells of the mail server is passed on. */
function judge(thrown: unknown, faults: FaultBoard, trial: MailTrial): Error {
  if (!(thrown instanceof MailFailure)) return verdictOfOwn(thrown);
  const failure = attributed(thrown, trial);
  return verdictOf(failure, tellOfServer(failure, faults, trial));
}

/** What ended the connection may be the mail or an outage: the mail, if others got through meanwhile. */
function attributed(failure: MailFailure, trial: MailTrial): MailFailure {
  const isOutage = failure.effect === 'lost' && !trial.othersGotThrough();
  return isOutage ? new MailFailure('unreachable', failure.message) : failure;
}

/** Tells breaker and fault board. Returns for how many milliseconds the server counts as out of reach: 0 if it does not. */
function tellOfServer(
  { effect, message }: MailFailure,
  faults: FaultBoard,
  trial: MailTrial,
): number {
  if (effect === 'unreachable') return trial.failed();
  // Neither an abort nor a lost connection tells whether another mail would get through.
  if (effect !== 'abort' && effect !== 'lost') trial.reached();
  if (effect === 'misconfigured') faults.raise('smtp', message);
  return 0;
}

/** What a mail that was not taken means for its job. */
function verdictOf({ effect, message, restMs }: MailFailure, awayMs: number): Error {
  switch (effect) {
    case 'retry':
    case 'lost':
      return new Error(message);
    case 'refuse':
      return new PermanentFailure(message);
    case 'unreachable':
      return new QueueCutOff(
        `the mail server is out of reach: ${message}`,
        awayMs,
        awayMs + Math.ceil(Math.random() * awayMs),
      );
    case 'throttle':
      return new QueueThrottled(message, restMs ?? MISCONFIGURED_REST_MS);
    case 'misconfigured':
      return new QueueThrottled(message, MISCONFIGURED_REST_MS);
    case 'abort':
      return new JobHandedBack();
  }
}

/** What a failure means that came before any mail server was asked. */
function verdictOfOwn(thrown: unknown): Error {
  if (isDatabaseUnavailable(thrown))
    return new QueueThrottled('the database is unavailable', DATABASE_REST_MS);
  const isVerdict = thrown instanceof PermanentFailure || thrown instanceof JobPostponed;
  return isVerdict ? thrown : maskError(thrown);
}

const isCounted = (verdict: Error): boolean =>
  !(
    verdict instanceof QueueThrottled ||
    verdict instanceof JobHandedBack ||
    verdict instanceof JobPostponed
  );

function restIfUnavailable(error: unknown): never {
  if (isDatabaseUnavailable(error))
    throw new QueueThrottled('the database is unavailable', DATABASE_REST_MS, { cause: error });
  throw error;
}
