import { setTimeout as delay } from 'node:timers/promises';
import type * as z from 'zod';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import type { Failpoint } from '../../shared/lifecycle/failpoint.js';
import type { OutboxJobData } from '../../shared/outbox/outbox-job.js';
import { JobReturned, JobDelayed, QueuePaused, QueueThrottled } from '../jobs/job-effects.js';
import type { JobContext, Processor } from '../jobs/run-job.js';
import { keepClaim, type ClaimKeeper, type ClaimKeeperDeps } from './claim-keeper.js';
import { composeMail } from './compose-mail.js';
import { createMailBreaker, type MailTrial } from './mail-breaker.js';
import type { MailSources } from './mail-sources.js';
import { DATABASE_REST_MS, type VerdictDeps } from './mail-verdict.js';
import type { Mailer } from './mail.port.js';
import { claimMessage, type ClaimedMessage } from './outbox-claim.js';
import { settleMessage, type Settlement } from './outbox-outcome.js';
import { MAX_COPIES, PerhapsSent, recordFailure } from './record-failure.js';

export interface DeliverMailDeps extends MailSources, VerdictDeps, ClaimKeeperDeps {
  readonly mailer: Mailer;
  readonly failpoint: Failpoint;
  /** How this process is called in deliveries. */
  readonly worker: string;
}

/** A mail that cannot have so much of its claim is not begun. */
const MIN_CLAIM_SHARE = 1 / 3;
/** What a send must leave of its claim until the content, for the record of how it went. */
const CLAIM_MARGIN_SHARE = 1 / 15;
const SETTLE_TRIES = 8;
/** With the database gone the marker is tried for ten minutes or more: giving up means that the mail is sent again. */
const SETTLE_TRIES_DURING_OUTAGE = 1_200;
/** Short: until the marker is there, a death of this process sends the mail again. */
const MAX_SETTLE_PAUSE_MS = 500;

/**
 * Carries out one outbox message: claim, compose from the rows as they are now, hand to the mail server, record. At
 * least once: a death of this process between the server's 250 and the record of it is a way to a second copy (ADR 8
 * lists all of them). That the content is handed over is recorded before it is; of whatever is not answered there are
 * three copies at most. While the mail server is out of reach the queue rests, and no mail loses a try.
 */
export function createDeliverMail(
  deps: DeliverMailDeps,
): Processor<z.output<typeof OutboxJobData>> {
  const { log } = deps;
  const breaker = createMailBreaker((turn) => {
    if (turn === 'away') log.warn('SMTP server unreachable; mails wait');
    else log.info('SMTP server recovered');
  });
  return async (data, context) => {
    if (context.signal.aborted) throw new JobReturned();
    const trial = breaker.enter();
    if (typeof trial === 'number') throw new QueuePaused('the mail server is out of reach', trial);
    try {
      return await claimAndDeliver(deps, { trial, context }, data);
    } finally {
      trial.end();
    }
  };
}

/** What one try has to itself. */
interface Attempt {
  readonly trial: MailTrial;
  readonly context: JobContext;
}

async function claimAndDeliver(
  deps: DeliverMailDeps,
  attempt: Attempt,
  { outbox_id: id, generation }: z.output<typeof OutboxJobData>,
): Promise<string> {
  const { context } = attempt;
  // From before the claim: it is never held for longer than the database grants it.
  const claimedAt = performance.now();
  const claim = await claimMessage(deps.database, { id, generation }, deps).catch(
    restIfUnavailable,
  );
  context.annotate({ 'labels.outbox_id': id });
  switch (claim.kind) {
    case 'over':
      return 'already';
    case 'busy':
      throw new JobDelayed('another worker has claimed the message', claim.remainingMs);
    case 'claimed':
      context.annotate({
        'trace.id': claim.message.traceId,
        ...(claim.message.adminId !== null && { 'user.id': String(claim.message.adminId) }),
        'labels.try': claim.message.attempt,
      });
      return deliverKept(deps, attempt, claim.message, claimedAt);
  }
}

async function deliverKept(
  deps: DeliverMailDeps,
  attempt: Attempt,
  message: ClaimedMessage,
  claimedAt: number,
): Promise<string> {
  const claim = keepClaim(deps, message, claimedAt);
  try {
    return await deliver(deps, attempt, message, claim);
  } finally {
    await claim.stop();
  }
}

async function deliver(
  deps: DeliverMailDeps,
  { trial, context }: Attempt,
  message: ClaimedMessage,
  claim: ClaimKeeper,
): Promise<string> {
  const { signal } = context;
  /** How often the content was handed over; more than before once it may be in this try. */
  let handingOver = Promise.resolve(message.unanswered);
  try {
    const mail = await composeMail(deps, message);
    if ('obsolete' in mail)
      return await settle(deps, message, { outcome: 'obsolete', response: mail.obsolete }, signal);
    if (message.unanswered >= MAX_COPIES) throw new PerhapsSent('its workers died of it');
    const withinMs = claim.heldForMs() - deps.claimMs * CLAIM_MARGIN_SHARE;
    if (withinMs < deps.claimMs * MIN_CLAIM_SHARE)
      throw new JobDelayed('the claim has almost run out', DATABASE_REST_MS);
    const receipt = await deps.mailer.send({ id: message.id, ...mail }, signal, {
      withinMs,
      onSession: () => trial.openedSession(),
      beforeContent: async () => {
        handingOver = claim.handOver();
        await handingOver;
      },
    });
    trial.reached();
    deps.failpoint('after-250');
    await settle(deps, message, { outcome: 'sent', ...receipt }, signal);
    deps.failpoint('after-marker');
    deps.faults.clear('smtp');
    return 'sent';
  } catch (error) {
    if (error instanceof UnrecordedSuccess) throw error;
    await claim.stop();
    // A connection may end while leave to hand over is asked for: then it is granted, and nothing has gone.
    const handedOver = await handingOver.catch(() => message.unanswered);
    throw await recordFailure(deps, { trial, context, message, handedOver }, error);
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
        log.warn({ 'labels.outbox_id': message.id }, 'outbox message changed during delivery');
      return settlement.outcome;
    } catch (error) {
      const limit =
        isDatabaseUnavailable(error) && !signal.aborted ? SETTLE_TRIES_DURING_OUTAGE : SETTLE_TRIES;
      if (tries >= limit) throw new UnrecordedSuccess('done, but not recorded', { cause: error });
      await delay(Math.min(50 * 2 ** tries, MAX_SETTLE_PAUSE_MS));
    }
  }
}

function restIfUnavailable(error: unknown): never {
  if (isDatabaseUnavailable(error))
    throw new QueueThrottled('the database is unavailable', DATABASE_REST_MS, { cause: error });
  throw error;
}
