import type {
  DeadLetterGroup,
  DeadLetters,
  DeadLetterList,
} from '../../api/ops/mail/dead-letters.service.js';
import { countText, timeText } from '../text.js';
import type {
  MailStep,
  MailHistory,
  MailTimeline,
} from '../../api/ops/mail/mail-timeline.service.js';

/** The timeline of an address, for people: its current state, then the history of each mail. */
export function describeTimeline(timeline: MailTimeline): string[] {
  const { address, suppressed, messages } = timeline;
  return [
    address,
    `  ${describeAdmin(timeline)}`,
    suppressed
      ? `  SUPPRESSED since ${timeText(suppressed.since)} after a ${suppressed.reason}: no mail goes there. ` +
        'Lift it with `mail unsuppress` if the address works.'
      : '  not suppressed',
    ...(messages.length === 0 ? ['  no mails'] : []),
    ...messages.flatMap((history) => [''].concat(describeHistory(history))),
  ];
}

/** The dead letters and perhaps sent mails, for people. */
export function describeDeadLetters({ uncertain, ...dead }: DeadLetters): string[] {
  const decide = 'Retry with `mail redrive ID`, or drop with `mail discard ID`.';
  return [
    ...(dead.total === 0
      ? ['no mail has been given up']
      : [...describeLetters(dead), '', `${countText(dead.total, 'mail')} given up. ${decide}`]),
    ...(uncertain.total === 0
      ? []
      : [
          '',
          'Perhaps sent: the mail server got the content and never answered.',
          ...describeLetters(uncertain),
          '',
          `${countText(uncertain.total, 'mail')} perhaps sent. ${decide}`,
        ]),
  ];
}

/** The dead letters by cause, for people. */
export function describeGroups(groups: readonly DeadLetterGroup[]): string[] {
  if (groups.length === 0) return ['no mail has been given up'];
  return groups.flatMap(({ state, cause, count: n, oldest, newest, came_back: back, example }) => [
    `${String(n).padStart(7)}  ${cause}${state === 'uncertain' ? ' (perhaps sent)' : ''}${back > 0 ? `, ${back} of them came back after a redrive` : ''}`,
    `         ${timeText(oldest)} to ${timeText(newest)}, for example: ${example ?? 'reason unknown'}`,
  ]);
}

function describeLetters({ total, letters }: DeadLetterList): string[] {
  const rest = total - letters.length;
  return [
    ...letters.flatMap(({ id, mail, recipient, asked_at, attempts, error, redrives }) => [
      `${id}  ${timeText(asked_at)}  ${mail} to ${recipient ?? 'nobody in particular'}`,
      `  ${countText(attempts, 'attempt')}, then: ${error ?? 'reason unknown'}${redrives > 0 ? ` (came back after ${countText(redrives, 'redrive')})` : ''}`,
    ]),
    ...(rest > 0 ? [`... and ${rest} more`] : []),
  ];
}

function describeAdmin({ admin, registrations }: MailTimeline): string {
  if (admin) {
    const change = admin.has_pending_address ? '; a new address is not confirmed yet' : '';
    return `admin ${admin.id}, confirmed ${timeText(admin.confirmed_at)}${change}`;
  }
  return registrations === 0
    ? 'no admin has this address'
    : `registered ${countText(registrations, 'time')}, not confirmed: no mailed link has been followed`;
}

/** One mail and its history, for people. */
export function describeHistory(history: MailHistory): string[] {
  const { id, mail, about, recipient, trace_id, last_error } = history;
  return [
    `${mail}${about === null ? '' : ` (${about})`} to ${recipient ?? 'nobody in particular'}: ${stateOf(history)}`,
    `  mail ${id}, trace ${trace_id}${describeRequest(history)}`,
    ...history.steps.map((step) => `  ${timeText(step.at)}  ${describeStep(step)}`),
    ...(last_error !== null && history.outcome !== 'discarded'
      ? [`  last error: ${last_error}`]
      : []),
  ];
}

const describeRequest = ({ request_id, span_id }: MailHistory): string =>
  request_id === null
    ? ''
    : `, request ${request_id}${span_id === null ? '' : ` (span ${span_id})`}`;

function stateOf({ state, outcome, available_at, steps }: MailHistory): string {
  const isBounced = steps.some(({ step }) => step === 'bounced');
  switch (state) {
    case 'pending':
      return `waiting to be enqueued, due ${timeText(available_at)}`;
    case 'enqueued':
      return 'on the queue';
    case 'dead':
      return 'GIVEN UP';
    case 'uncertain':
      return 'PERHAPS SENT: the mail server got the content and never answered';
    default:
      return isBounced ? `${outcome ?? state}, then bounced` : (outcome ?? state);
  }
}

function describeStep(step: MailStep): string {
  switch (step.step) {
    case 'asked':
      return 'requested';
    case 'enqueued':
      return step.times > 1 ? `enqueued (${step.times} times)` : 'enqueued';
    case 'tried': {
      const end = step.finished_at
        ? `${step.outcome ?? 'ended'} at ${timeText(step.finished_at)}`
        : 'in progress, or its worker died';
      return `attempt ${step.attempt} by ${step.worker}: ${end}${quoted(step.response)}`;
    }
    case 'settled':
      return `settled: ${step.outcome ?? 'done'}`;
    case 'redriven':
      return `${operator(step)} redrove it${because(step)}${quoted(step.error)}`;
    case 'discarded':
      return `${operator(step)} discarded it${because(step)}${quoted(step.error)}`;
    case 'unsuppressed':
      return `${operator(step)} lifted the suppression of the address${because(step)}`;
    case 'withdrawn':
      return 'the recipient withdrew the complaint, and the suppression was lifted';
    default:
      return `${step.step}${step.subtype === null ? '' : ` (${step.subtype})`}${quoted(step.detail)}`;
  }
}

type Decision = Extract<MailStep, { step: 'redriven' | 'discarded' | 'unsuppressed' }>;

const operator = ({ actor, operator_id }: Decision): string =>
  operator_id === null ? `an operator (${actor ?? 'unknown'})` : `operator ${operator_id}`;

const because = ({ reason }: Decision): string => (reason === null ? '' : ` (${reason})`);

const quoted = (text: string | null): string => (text === null ? '' : `: ${text}`);
