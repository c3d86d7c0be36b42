import { setTimeout as delay } from 'node:timers/promises';
import type * as z from 'zod';
import { isDatabaseUnavailable } from '../../../shared/database/failures.js';
import type { Failpoint } from '../../../shared/lifecycle/failpoint.js';
import type { OutboxJobData } from '../../../shared/outbox/outbox-job.js';
import {
  JobReturned,
  JobDelayed,
  QueueStillThrottled,
  QueueThrottled,
} from '../../jobs/job-effects.js';
import type { JobContext, Processor } from '../../jobs/run-job.js';
import type { Mailer } from '../mail.port.js';
import { groupCommit, type Grouped } from '../../../shared/database/group-commit.js';
import { composeMail } from '../mails/compose-mail.js';
import type { ComposeDeps, ComposedMail } from '../mails/composition.js';
import { countMails, type CountMail } from '../mails/mail-limits.js';
import {
  pauseBeforeSending,
  recordReached,
  recordSession,
  releasePermit,
  requestPermit,
  type CircuitBreaker,
  type SendPermit,
} from './circuit-breaker.js';
import { keepClaim, type ClaimKeeper } from './claim-keeper.js';
import {
  DATABASE_PAUSE_MS,
  MAX_COPIES,
  PerhapsSent,
  recordFailure,
  type FailureDeps,
} from './failed-delivery.js';
import {
  claimMessages,
  fieldsOf,
  recordTransmissions,
  type Claim,
  type ClaimedMessage,
  type MessageKey,
  type Transmission,
} from './outbox-claim.js';
import { within, type OpenSpan } from '../../../shared/tracing/open-span.js';
import { openDeliverySpan, traceSending, type MailTracing } from './mail-spans.js';
import {
  acquireSlot,
  createSendSlots,
  freeConnection,
  isWellPrepared,
  releaseSlot,
  type SendSlot,
  type SendSlots,
} from './send-slots.js';
import { settleMessages, type SettledMessage, type Settlement } from './outbox-outcome.js';

export interface DeliverMailDeps extends ComposeDeps, FailureDeps {
  readonly mailer: Mailer;
  readonly breaker: CircuitBreaker;
  readonly failpoint: Failpoint;
  /** Multiplies the limits on mails to one address. */
  readonly rateLimitScale: number;
  /** How long a claim lasts. */
  readonly claimMs: number;
  readonly tracing?: MailTracing | undefined;
}

/** The dependencies with the statements of each delivery, which the mails in flight share (ADR 26). */
interface Delivery extends DeliverMailDeps {
  readonly countMail: CountMail;
  readonly claim: Grouped<MessageKey, Claim>;
  readonly countTransmission: Grouped<Transmission, number>;
  readonly settleMessage: Grouped<SettledMessage, true>;
  readonly slots: SendSlots;
}

/** A mail is not sent with less than this share of its claim left. */
const MIN_CLAIM_SHARE = 1 / 3;
/** Pauses between claims of a locked row: the relay and the API lock it for a moment, to mark that it is enqueued. */
const LOCKED_PAUSES_MS = [3, 10, 30, 100, 300];
/** How long claims gather while enough mails are prepared. */
const GATHER_CLAIMS_MS = 6;
/** The claim is checked again before the content if the envelope took longer than this share of it. */
const CONFIRM_CLAIM_AFTER_SHARE = 1 / 30;
/** The share of the claim that is reserved for recording the outcome. */
const SETTLE_CLAIM_SHARE = 1 / 15;
const SETTLE_ATTEMPTS = 8;
/** During an outage of the database, for ten minutes or more: giving up would send the mail again. */
const SETTLE_ATTEMPTS_DURING_OUTAGE = 1_200;
/** Short: if the process dies before the message is settled, the mail is sent again. */
const MAX_SETTLE_PAUSE_MS = 500;

/**
 * Delivers the mail of one outbox message: claim, compose from the rows as they are then, send, record the outcome. At least
 * once: if this process dies between the server's 250 and the record of it, a second copy is sent (ADR 8 lists all such
 * cases). Each transmission of the content is recorded before it starts; without an answer there are three copies at most.
 * While the mail server is unreachable the queue is paused, and no attempt is counted.
 */
export function createDeliverMail(
  deps: DeliverMailDeps,
): Processor<z.output<typeof OutboxJobData>> {
  const delivery = openDelivery(deps);
  return async (data, context) => {
    if (context.signal.aborted) throw new JobReturned();
    const permit = requestPermit(deps.breaker);
    if (typeof permit === 'number') throw serverOutOfReach(permit);
    permit.isPreparing = true;
    try {
      return await claimAndDeliver(delivery, { permit, context }, data);
    } finally {
      releasePermit(permit);
    }
  };
}

function openDelivery(deps: DeliverMailDeps): Delivery {
  const { database } = deps;
  const slots = createSendSlots(() => deps.connections.current());
  return {
    ...deps,
    slots,
    countMail: groupCommit(
      ({ address }) => address,
      (due) => countMails(database, due, deps.rateLimitScale),
    ),
    claim: groupCommit(
      ({ id }) => id,
      (keys) => claimMessages(database, keys, deps),
      () => (isWellPrepared(slots) ? GATHER_CLAIMS_MS : 0),
    ),
    countTransmission: groupCommit(
      ({ message }) => message.id,
      (transmissions) => recordTransmissions(database, transmissions),
    ),
    settleMessage: groupCommit(
      ({ message }) => message.id,
      (settled) => settleMessages(database, settled),
    ),
  };
}

interface Attempt {
  readonly permit: SendPermit;
  readonly context: JobContext;
  readonly span?: OpenSpan | undefined;
}

async function claimAndDeliver(
  deps: Delivery,
  attempt: Attempt,
  { outbox_id: id, generation }: z.output<typeof OutboxJobData>,
): Promise<string> {
  const { context } = attempt;
  const { claim, claimedAt } = await claimUnlocked(deps, context, { id, generation });
  context.annotate({ 'labels.outbox_id': id, 'trace.id': claim?.traceId });
  switch (claim?.kind) {
    case undefined:
    case 'over':
      return 'already';
    case 'busy':
      throw new JobDelayed(
        claim.isLocked
          ? 'another transaction has locked the message'
          : 'another worker has claimed the message',
        claim.remainingMs,
      );
    case 'claimed':
      context.annotate({
        ...(claim.message.adminId !== null && { 'user.id': String(claim.message.adminId) }),
        'labels.try': claim.message.attempt,
      });
      return deliverClaimed(deps, attempt, claim.message, claimedAt);
  }
}

/** Claims the message, and waits a moment if its row is locked. */
async function claimUnlocked(
  { claim: claimMessage }: Delivery,
  { signal }: JobContext,
  key: MessageKey,
): Promise<{ claim: Claim | undefined; claimedAt: number }> {
  for (let tries = 0; ; tries += 1) {
    // Measured before the claim is made, so that it is never assumed to last longer than it does.
    const claimedAt = performance.now();
    const claim = await claimMessage(key).catch(throttleIfUnavailable);
    const pauseMs = LOCKED_PAUSES_MS[tries];
    if (claim?.kind !== 'busy' || !claim.isLocked || pauseMs === undefined || signal.aborted)
      return { claim, claimedAt };
    await delay(pauseMs);
  }
}

async function deliverClaimed(
  deps: Delivery,
  attempt: Attempt,
  message: ClaimedMessage,
  claimedAt: number,
): Promise<string> {
  const claim = keepClaim(deps, message, claimedAt);
  const span = openDeliverySpan(deps.tracing, attempt.context.jobId, message);
  try {
    return await within(
      span,
      () => deliver(deps, { ...attempt, span }, { message, claim, claimedAt }),
      (result) => ({ 'rollcall.result': result }),
    );
  } finally {
    await claim.stop();
  }
}

async function deliver(
  deps: Delivery,
  attempt: Attempt,
  { message, claim, claimedAt }: Pick<Sending, 'message' | 'claim' | 'claimedAt'>,
): Promise<string> {
  const { signal } = attempt.context;
  const sending: Sending = {
    attempt,
    message,
    claim,
    claimedAt,
    transmissions: Promise.resolve(message.unanswered),
    recordedAt: undefined,
    slot: undefined,
  };
  try {
    const mail = await composeMail(deps, deps.countMail, message);
    if ('obsolete' in mail)
      return await settle(deps, message, { outcome: 'obsolete', response: mail.obsolete }, signal);
    if (message.unanswered >= MAX_COPIES)
      throw new PerhapsSent('its worker crashed during each attempt');
    return await send(deps, sending, mail);
  } catch (error) {
    if (error instanceof UnrecordedSuccess) throw error;
    await claim.stop();
    // If the connection ends while the transmission is being recorded, it is recorded though nothing was sent.
    const transmissions = await sending.transmissions.catch(() => message.unanswered);
    throw await recordFailure(deps, { ...attempt, message, transmissions }, error);
  } finally {
    if (sending.slot) releaseSlot(deps.slots, sending.slot);
  }
}

interface Sending {
  readonly attempt: Attempt;
  readonly message: ClaimedMessage;
  readonly claim: ClaimKeeper;
  /** When the claim was requested, by the monotonic clock. */
  readonly claimedAt: number;
  /** How often the content was transmitted without an answer, this attempt included once it is recorded. */
  transmissions: Promise<number>;
  /** When the transmission began to be recorded, by the monotonic clock. */
  recordedAt: number | undefined;
  slot: SendSlot | undefined;
}

/**
 * Sends the mail once a slot is free, and records that it was sent. Its transmission is recorded while it is among the next
 * in line, or else while the envelope is sent: the server does not wait for the statement when it is ready for the content.
 */
async function send(deps: Delivery, sending: Sending, mail: ComposedMail): Promise<string> {
  const { message, claim } = sending;
  const { permit, context } = sending.attempt;
  const beforeSending = (): void => recordTransmission(sending, mail.template);
  const slot = await acquireSlot(deps.slots, context.signal, beforeSending);
  sending.slot = slot;
  permit.isPreparing = false;
  const pauseMs = pauseBeforeSending(permit);
  if (pauseMs > 0) throw serverOutOfReach(pauseMs);
  const withinMs = claim.heldForMs() - deps.claimMs * SETTLE_CLAIM_SHARE;
  if (withinMs < deps.claimMs * MIN_CLAIM_SHARE)
    throw new JobDelayed('the claim has almost run out', DATABASE_PAUSE_MS);
  const receipt = await traceSending(deps.tracing, sending.attempt.span, () =>
    deps.mailer.send({ id: message.id, traceId: message.traceId, ...mail }, context.signal, {
      withinMs,
      onSession: () => {
        recordSession(permit);
        beforeSending();
      },
      beforeContent: () => confirmTransmission(deps, sending),
    }),
  );
  recordReached(permit);
  freeConnection(deps.slots, slot);
  const sinceClaim = (performance.now() - sending.claimedAt) / 1_000;
  deps.metrics.observe('rollcall_mail_delay_seconds', message.ageSeconds + sinceClaim);
  deps.failpoint('after-250');
  await settle(deps, message, { outcome: 'sent', ...receipt }, context.signal);
  deps.failpoint('after-marker');
  deps.faults.clear('smtp');
  return 'sent';
}

function recordTransmission(sending: Sending, template: string): void {
  // While it was in line, or in a session that ended before the content.
  if (sending.recordedAt !== undefined) return;
  sending.recordedAt = performance.now();
  sending.transmissions = sending.claim.recordTransmission(template);
  // Awaited before the content, and when the attempt fails.
  sending.transmissions.catch(() => undefined);
}

/** @throws {ClaimLost} when the message is not this worker's any more: a process may have been paused during the envelope. */
async function confirmTransmission(
  { claimMs }: Delivery,
  { claim, transmissions, recordedAt }: Sending,
): Promise<void> {
  await transmissions;
  const elapsedMs = performance.now() - (recordedAt ?? -Infinity);
  if (elapsedMs > claimMs * CONFIRM_CLAIM_AFTER_SHARE) await claim.confirm();
}

const serverOutOfReach = (pauseMs: number): QueueStillThrottled =>
  new QueueStillThrottled('the mail server is out of reach', pauseMs);

/** The work is done, but could not be recorded. */
class UnrecordedSuccess extends Error {
  override readonly name = 'UnrecordedSuccess';
}

/** Settles the message, and retries for long: what is not recorded is done again. */
async function settle(
  { settleMessage, metrics, log }: Delivery,
  message: ClaimedMessage,
  settlement: Settlement,
  signal: AbortSignal,
): Promise<string> {
  for (let attempts = 1; ; attempts++) {
    try {
      const wasOpen = await settleMessage({ message, settlement });
      if (!wasOpen) log.warn(fieldsOf(message), 'outbox message changed during delivery');
      metrics.count('rollcall_mail_outcomes_total', { outcome: settlement.outcome });
      return settlement.outcome;
    } catch (error) {
      const limit =
        isDatabaseUnavailable(error) && !signal.aborted
          ? SETTLE_ATTEMPTS_DURING_OUTAGE
          : SETTLE_ATTEMPTS;
      if (attempts >= limit)
        throw new UnrecordedSuccess('done, but not recorded', { cause: error });
      await delay(Math.min(50 * 2 ** attempts, MAX_SETTLE_PAUSE_MS));
    }
  }
}

/** A claim waits for no row: whatever keeps it from being made is no single mail's. */
function throttleIfUnavailable(error: unknown): never {
  if (isDatabaseUnavailable(error))
    throw new QueueThrottled('the database is unavailable', DATABASE_PAUSE_MS, { cause: error });
  throw error;
}
