import { duration } from '../../../shared/duration.js';
import { markup, type Html } from '../../http/page.js';
import type { BulkAction } from '../../ops/mail/bulk-actions.service.js';
import type { DeadLetter, DeadLetterGroup } from '../../ops/mail/dead-letters.service.js';
import type { MailHistory, MailTimeline } from '../../ops/mail/mail-timeline.service.js';
import type { SuppressedAddress } from '../../ops/mail/suppressions.service.js';
import { ago, clip, count, counted, foreign, withQuery } from '../layout/format.js';
import { badge, facts, section, table } from '../layout/parts.js';
import { deliveryBadge, mailName } from './mail-history.pages.js';

/** The search for a mail, on every page of the section. */
export const mailSearch = (q = ''): Html =>
  markup`<form class="search" role="search" action="/ops/mail">
<div class="box"><label for="q">E-mail address or id of a mail</label>
<input type="search" id="q" name="q" value="${clip(q, 254)}" placeholder="Address or id" autocapitalize="none" autocomplete="off" spellcheck="false"></div>
<button type="submit">Find</button></form>`;

/** Everything that is known of the mails to an address. */
export function renderTimeline(timeline: MailTimeline, mayDecide: boolean): Html {
  const { address, suppressed, registrations, admin, messages } = timeline;
  const lift =
    suppressed &&
    mayDecide &&
    markup` <a href="${withQuery('/ops/mail/suppressions/lift', { address })}">Lift…</a>`;
  const about = facts([
    ['Address', foreign(address, 254)],
    [
      'Admin',
      admin
        ? markup`<a href="/ops/admins/${admin.id}">admin ${admin.id}</a>`
        : 'none with this address',
    ],
    ['Registrations waiting', registrations > 0 && String(registrations)],
    [
      'Suppressed',
      suppressed &&
        markup`${badge('bad', clip(suppressed.reason, 40))} ${ago(suppressed.since)}${lift}`,
    ],
  ]);
  const rows = messages
    .toReversed()
    .map((history) => [
      markup`<a href="/ops/mail/messages/${history.id}">${mailName(history.mail, history.about)}</a>${history.about !== null && markup`<span class="sub">${clip(history.about, 60)}</span>`}`,
      deliveryBadge(history),
      lastReply(history),
      ago(history.asked_at),
    ]);
  const columns = [
    { label: 'Mail' },
    { label: 'State' },
    { label: 'Last reply', kind: 'wide' },
    { label: 'Requested' },
  ] as const;
  return markup`${section('address', 'Address', about)}${section(
    'mails',
    'Mails to this address',
    table('Mails to this address', columns, rows, 'No mail was ever requested.'),
    messages.length > 0 && counted(messages.length, 'mail'),
  )}`;
}

/** What the mail server or the provider said last. */
function lastReply({ steps, last_error: error }: MailHistory): Html {
  const said = steps.flatMap((step) =>
    'response' in step && step.response !== null
      ? [step.response]
      : 'detail' in step && step.detail !== null
        ? [step.detail]
        : [],
  );
  return foreign(said.at(-1) ?? error ?? '', 200);
}

/** The mails that wait for a decision, by their cause. */
export function renderGroups(
  groups: readonly DeadLetterGroup[],
  state: DeadLetterGroup['state'],
): Html {
  const own = groups.filter((group) => group.state === state);
  const total = own.reduce((all, group) => all + group.count, 0);
  const columns = [
    { label: 'Cause', kind: 'wide' },
    { label: 'Mails', kind: 'number' },
    { label: 'Came back', kind: 'number' },
    { label: 'Oldest', kind: 'short' },
    { label: 'Newest', kind: 'short' },
  ] as const;
  const rows = own.map((group) => [
    markup`<a href="${withQuery('/ops/mail/dead', { state, cause: group.cause })}">${clip(group.cause, 200)}</a>${group.example !== null && markup`<span class="sub" dir="auto">${clip(group.example, 160)}</span>`}`,
    count(group.count),
    group.came_back > 0 ? markup`<b>${count(group.came_back)}</b>` : '0',
    ago(group.oldest),
    ago(group.newest),
  ]);
  const isDead = state === 'dead';
  return section(
    state,
    isDead ? 'Dead letters by cause' : 'Perhaps sent',
    markup`${!isDead && markup`<p class="soft">The mail server got the content and never replied. If redriven, these mails may arrive twice.</p>`}${table(
      isDead ? 'Dead letters by cause' : 'Mails that were perhaps sent, by cause',
      columns,
      rows,
      isDead ? 'No dead letters.' : 'None: the outcome of every mail is known.',
    )}`,
    total > 0 && markup`<a href="/ops/mail/dead?state=${state}">all ${counted(total, 'mail')}</a>`,
  );
}

/** One page of the mails that fit a filter. */
export function renderLetters(letters: readonly DeadLetter[]): Html {
  const columns = [
    { label: 'To' },
    { label: 'Error', kind: 'wide' },
    { label: 'Mail' },
    { label: 'Attempts', kind: 'number' },
    { label: 'Redriven', kind: 'number' },
    { label: 'Requested', kind: 'short' },
  ] as const;
  const rows = letters.map((letter) => [
    markup`<a href="/ops/mail/messages/${letter.id}">${clip(letter.recipient ?? letter.id, 254)}</a>`,
    foreign(letter.error ?? 'unknown', 240),
    mailName(letter.mail),
    String(letter.attempts),
    String(letter.redrives),
    ago(letter.asked_at),
  ]);
  return table(
    'Mails that wait for a decision, the oldest first',
    columns,
    rows,
    'No matching mail.',
  );
}

const stateWords = {
  running: badge('idle', 'running'),
  completed: badge('good', 'completed'),
  stopped: badge('warn', 'stopped'),
} as const;

/** The newest actions on many mails. */
export function renderActions(actions: readonly BulkAction[]): Html {
  const columns = [
    { label: 'Action' },
    { label: 'State' },
    { label: 'Reason', kind: 'wide' },
    { label: 'Done', kind: 'number' },
    { label: 'Started', kind: 'short' },
  ] as const;
  const rows = actions.map((action) => [
    markup`<a href="/ops/mail/actions/${action.id}">${action.action} ${counted(action.total, 'mail')}</a>`,
    stateWords[action.state],
    foreign(action.reason, 200),
    `${count(action.done)} of ${count(action.total)}`,
    ago(action.created_at),
  ]);
  return section('actions', 'Bulk actions', table('Bulk actions', columns, rows));
}

/** How far an action on many mails has come. */
export function renderAction(action: BulkAction): Html {
  const {
    total,
    done,
    rate,
    state,
    reason,
    created_at: startedAt,
    finished_at: finishedAt,
  } = action;
  const left = state === 'running' ? (total - done) / rate : undefined;
  const filter = Object.entries(action.filter)
    .map(([name, value]) => `${name}: ${clip(String(value), 200)}`)
    .join(', ');
  return section(
    'action',
    `${action.action === 'redrive' ? 'Redrive' : 'Discard'} ${counted(total, 'mail')}`,
    markup`<progress class="progress" max="${Math.max(1, total)}" value="${state === 'completed' ? Math.max(1, total) : done}" aria-label="Mails that are done">${done} of ${total}</progress>
${facts([
  ['State', stateWords[state]],
  ['Done', `${count(done)} of ${count(total)}`],
  ['Left', left !== undefined && left > 0 && `about ${duration(left)} at ${rate} a second`],
  ['Which', filter],
  ['Reason', foreign(reason, 500)],
  [
    'By',
    action.operator_id === null
      ? clip(action.actor ?? 'unknown', 100)
      : markup`<a href="/ops/admins/${action.operator_id}">operator ${action.operator_id}</a>`,
  ],
  ['Started', ago(startedAt)],
  ['Ended', finishedAt && ago(finishedAt)],
])}`,
  );
}

/** Addresses that get no mail. */
export function renderSuppressions(rows: readonly SuppressedAddress[], mayLift: boolean): Html {
  const columns = [
    { label: 'Address' },
    { label: 'Why' },
    { label: 'What the provider said', kind: 'wide' },
    { label: 'Since', kind: 'short' },
    ...(mayLift ? ([{ label: 'Action', kind: 'action' }] as const) : []),
  ] as const;
  return table(
    'Suppressed addresses, the newest first',
    columns,
    rows.map(({ address, reason, since, detail, outbox_id: id }) => [
      markup`<a href="${withQuery('/ops/mail', { q: address })}">${clip(address, 254)}</a>`,
      badge('bad', clip(reason, 40)),
      markup`${foreign(detail ?? '', 240)}${id !== null && markup` <a class="small" href="/ops/mail/messages/${id}">the mail</a>`}`,
      ago(since),
      ...(mayLift
        ? [
            markup`<a class="button quiet small" href="${withQuery('/ops/mail/suppressions/lift', { address })}">Lift…</a>`,
          ]
        : []),
    ]),
    'No address is suppressed.',
  );
}
