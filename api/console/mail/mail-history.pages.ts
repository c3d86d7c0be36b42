import { duration } from '../../../shared/duration.js';
import { WITHDRAWN_COMPLAINT } from '../../../shared/models/index.js';
import { markup, type Html, type HtmlValue } from '../../http/page.js';
import type { MailStep, MailHistory } from '../../ops/mail/mail-timeline.service.js';
import { ago, clip, counted, exactTime, foreign } from '../layout/format.js';
import { badge, facts, section, type Tone, type PagePart } from '../layout/parts.js';

/** How a mail stands, in a word. */
function stateBadge({ state, outcome }: Pick<MailHistory, 'state' | 'outcome'>): Html {
  switch (state) {
    case 'settled':
      if (outcome === 'sent') return badge('good', 'sent');
      return badge(
        'idle',
        outcome === 'obsolete' ? 'no longer needed' : clip(outcome ?? 'done', 40),
      );
    case 'dead':
      return badge('bad', 'dead letter');
    case 'uncertain':
      return badge('warn', 'perhaps sent');
    default:
      return badge('idle', state === 'enqueued' ? 'on the queue' : 'waiting in the outbox');
  }
}

/** How a mail stands, with what the provider reported after it was sent. */
export function deliveryBadge(history: Pick<MailHistory, 'state' | 'outcome' | 'steps'>): Html {
  const complaint = history.steps.findLast(({ step }) => step === 'complained');
  const reported = history.steps
    .map(({ step }) => step)
    .filter((step) => step !== 'complained' || !isWithdrawal(complaint));
  const bad = (['bounced', 'complained', 'rejected'] as const).find((step) =>
    reported.includes(step),
  );
  if (history.outcome !== 'sent') return stateBadge(history);
  if (bad) return badge('bad', bad === 'complained' ? 'sent, reported as spam' : bad);
  return reported.includes('delivered') ? badge('good', 'delivered') : stateBadge(history);
}

/** SES reports a withdrawn complaint as a complaint. */
const isWithdrawal = (step: MailStep | undefined): boolean =>
  step?.step === 'complained' && step.subtype === WITHDRAWN_COMPLAINT;

/** Mails that people call otherwise than their job, by what they are about. */
const NAMES = new Map([
  ['password_reset', 'password reset'],
  ['first_password', 'first password'],
  ['email_change', 'confirmation of a new address'],
  ['account_exists', 'reminder of an existing account'],
  ['password_changed', 'notice of a changed password'],
  ['email_change_requested', 'notice of a new address'],
  ['session_ended_by_reuse', 'notice of an ended session'],
]);

/** `send-confirmation-mail` as people say it: confirmation mail, or what it is about. */
export const mailName = (job: string, about: string | null = null): string =>
  NAMES.get(about ?? '') ??
  clip(job, 100)
    .replace(/^send-/, '')
    .replaceAll('-', ' ');

/** What is known of a mail, and every event in its history. Operators may decide about one that waits for it. */
export function historyParts(history: MailHistory, mayDecide: boolean): PagePart[] {
  const waits = history.state === 'dead' || history.state === 'uncertain';
  const path = `/ops/mail/messages/${history.id}`;
  const decide =
    waits &&
    mayDecide &&
    markup`<div class="actions"><a class="button" href="${path}/redrive">Redrive…</a>
<a class="button quiet" href="${path}/discard">Discard…</a></div>`;
  const body = facts([
    ['State', deliveryBadge(history)],
    ['To', history.recipient === null ? undefined : foreign(history.recipient, 254)],
    ['Requested', ago(history.asked_at)],
    ['Counted attempts', String(history.attempts)],
    ['Redriven', history.redrives > 0 && counted(history.redrives, 'time')],
    ['Trace', markup`<code>${clip(history.trace_id, 64)}</code>`],
    [
      'Request',
      history.request_id !== null && markup`<code>${clip(history.request_id, 64)}</code>`,
    ],
  ]);
  return [
    { id: 'mail', html: section('mail', 'The mail', markup`${body}${decide}`) },
    {
      id: 'story',
      html: section(
        'story',
        'What happened',
        markup`<ol class="story">${history.steps.map(renderStep)}</ol>`,
        counted(history.steps.length, 'event'),
      ),
    },
  ];
}

interface StepWords {
  readonly tone: Tone;
  readonly what: string;
  readonly detail?: HtmlValue;
  readonly reply?: string | null;
}

function renderStep(step: MailStep): Html {
  const { tone, what, detail, reply = null } = wordsFor(step);
  return markup`<li class="${tone}">${exactTime(step.at)}<div><span class="what">${what}</span>${detail !== undefined && detail !== false && markup`<span class="sub">${detail}</span>`}${reply !== null && reply !== '' && markup`<span class="reply" dir="auto">${clip(reply)}</span>`}</div></li>`;
}

function wordsFor(step: MailStep): StepWords {
  switch (step.step) {
    case 'asked':
      return { tone: 'idle', what: 'Requested', detail: 'committed to the outbox' };
    case 'enqueued':
      return {
        tone: 'idle',
        what: 'Put on the queue',
        detail: step.times > 1 && `${step.times} times in all`,
      };
    case 'tried':
      return attemptWords(step);
    case 'redriven':
    case 'discarded':
    case 'unsuppressed':
      return decisionWords(step);
    case 'withdrawn':
      return {
        tone: 'idle',
        what: 'The suppression was lifted',
        detail: 'the recipient withdrew the complaint',
      };
    case 'settled':
      return {
        tone: step.outcome === 'sent' ? 'good' : 'idle',
        what: step.outcome === 'sent' ? 'Done: sent' : 'Done: no longer needed',
      };
    default:
      return eventWords(step);
  }
}

function attemptWords(step: Extract<MailStep, { step: 'tried' }>): StepWords {
  const took =
    step.finished_at && duration((step.finished_at.getTime() - step.at.getTime()) / 1_000);
  const detail = markup`attempt ${step.attempt} by ${clip(step.worker, 80)}${took !== null && `, took ${took}`}`;
  const reply = step.response;
  switch (step.outcome) {
    case 'sent':
      return { tone: 'good', what: 'Accepted by the mail server', detail, reply };
    case 'refused':
      return { tone: 'bad', what: 'Permanently refused', detail, reply };
    case 'deferred':
      return { tone: 'warn', what: 'Failed, will be retried', detail, reply };
    case 'obsolete':
      return { tone: 'idle', what: 'No longer needed', detail, reply };
    default:
      return {
        tone: 'warn',
        what: step.finished_at
          ? clip(step.outcome ?? 'Ended', 40)
          : 'In progress, or its worker died',
        detail,
        reply,
      };
  }
}

const decided = {
  redriven: 'redrove it',
  discarded: 'discarded it',
  unsuppressed: 'lifted the suppression of the address',
} as const;

function decisionWords(
  step: Extract<MailStep, { step: 'redriven' | 'discarded' | 'unsuppressed' }>,
): StepWords {
  const { operator_id: id, actor, reason } = step;
  const who =
    id === null
      ? clip(actor ?? 'An operator', 100)
      : markup`<a href="/ops/admins/${id}">Operator ${id}</a>`;
  return {
    tone: 'idle',
    what: `An operator ${decided[step.step]}`,
    detail: markup`${who}${reason !== null && markup`: ${foreign(reason, 500)}`}`,
  };
}

type ProviderStep = Extract<MailStep, { readonly subtype: string | null }>;

function eventWords(step: ProviderStep): StepWords {
  const event = isWithdrawal(step) ? 'withdrawn' : step.step;
  const good = ['delivered', 'withdrawn'].includes(event);
  const bad = ['bounced', 'complained', 'rejected'].includes(event);
  return {
    tone: good ? 'good' : bad ? 'bad' : 'warn',
    what: providerWords(event),
    detail: markup`reported by the mail provider${step.subtype !== null && `, ${clip(step.subtype, 60)}`}`,
    reply: step.detail,
  };
}

const providerWords = (event: string): string =>
  ({
    delivered: 'Delivered to the recipient’s mail server',
    bounced: 'Bounced',
    complained: 'The recipient reported it as spam',
    withdrawn: 'The recipient withdrew the complaint',
    rejected: 'Rejected by the mail provider',
    delayed: 'Delayed by the receiving server',
  })[event] ?? clip(event, 40);
