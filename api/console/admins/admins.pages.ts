import { markup, type Html } from '../../http/page.js';
import type { RoleOf } from '../../admins/admins.service.js';
import type {
  AdminDetails,
  AdminSummary,
  PendingRegistration,
} from '../../ops/admin-search.service.js';
import { ago, clip, count, counted, foreign, withQuery } from '../layout/format.js';
import { badge, facts, nextPage, section, table } from '../layout/parts.js';

function roleText(roleOf: RoleOf, admin: AdminSummary): Html {
  const role = roleOf({
    emailCanonical: admin.email_canonical,
    operatorSince: admin.operator_since,
  });
  return role === 'operator' ? badge('good', 'operator') : markup`admin`;
}

/** One page of the admins that were found. */
export function renderAdmins(
  admins: readonly AdminSummary[],
  roleOf: RoleOf,
  more: string | undefined,
): Html {
  const columns = [
    { label: 'Name' },
    { label: 'Address', kind: 'wide' },
    { label: 'Role', kind: 'short' },
    { label: 'Sessions', kind: 'number' },
    { label: 'Confirmed', kind: 'short' },
  ] as const;
  const rows = admins.map((admin) => [
    markup`<a href="/ops/admins/${admin.id}">${clip(admin.name, 200)}</a>`,
    foreign(admin.email, 254),
    roleText(roleOf, admin),
    count(admin.live_sessions),
    ago(admin.confirmed_at),
  ]);
  return section(
    'admins',
    'Confirmed',
    markup`${table('Admins', columns, rows, 'No matching admin.')}${nextPage(more)}`,
  );
}

/** Who has registered and has not followed the link. */
export function renderRegistrations(
  registrations: readonly PendingRegistration[],
  maySend: boolean,
): Html {
  const columns = [
    { label: 'Address' },
    { label: 'Name', kind: 'wide' },
    { label: 'Times', kind: 'number' },
    { label: 'Registered', kind: 'short' },
    ...(maySend ? ([{ label: 'Action', kind: 'action' }] as const) : []),
  ] as const;
  const rows = registrations.map(({ email, name, times, newest_at: at }) => [
    markup`<a href="${withQuery('/ops/mail', { q: email })}">${clip(email, 254)}</a>`,
    foreign(name, 200),
    count(times),
    ago(at),
    ...(maySend
      ? [
          markup`<a class="button quiet small" href="${withQuery('/ops/confirmations/send', { address: email })}">New link…</a>`,
        ]
      : []),
  ]);
  return section(
    'registrations',
    'Waiting for confirmation',
    table('Registrations waiting for confirmation', columns, rows, 'No pending registrations.'),
  );
}

/** Who an admin is. */
export const renderAdmin = (admin: AdminDetails, roleOf: RoleOf, mayLift: boolean): Html =>
  section(
    'admin',
    'The admin',
    facts([
      ['Id', String(admin.id)],
      ['Role', roleText(roleOf, admin)],
      ['Address', foreign(admin.email, 254)],
      [
        'New address, not confirmed',
        admin.pending_email !== null && foreign(admin.pending_email, 254),
      ],
      ['Locked out', admin.locks.length > 0 && renderLocks(admin, mayLift)],
      ['Users', count(admin.users)],
      ['Confirmed', ago(admin.confirmed_at)],
      ['Events', markup`<a href="/ops/audit?adminId=${admin.id}">in the audit</a>`],
    ]),
  );

function renderLocks({ id, locks }: AdminDetails, mayLift: boolean): Html {
  const texts = locks.map(
    ({ limit, count: locksOfLimit, until }) =>
      markup`${badge('bad', limit)}<span class="sub">ends ${ago(until)}${locksOfLimit > 1 && `, the last of ${count(locksOfLimit)}`}</span>`,
  );
  const lift =
    mayLift &&
    markup`<div class="actions"><a class="button quiet small" href="/ops/admins/${id}/unlock">Lift the locks…</a></div>`;
  return markup`${texts}${lift}`;
}

/** Where an admin is logged in. */
export function renderSessions({ id, sessions }: AdminDetails, mayEnd: boolean): Html {
  const columns = [
    { label: 'Client', kind: 'wide' },
    { label: 'Address', kind: 'short' },
    { label: 'Opened', kind: 'short' },
    { label: 'Last used', kind: 'short' },
    { label: 'Ends', kind: 'short' },
  ] as const;
  const rows = sessions.map((session) => [
    markup`${session.is_console ? 'Console' : 'API'}<span class="sub">${foreign(session.user_agent ?? 'unknown', 256)}</span>`,
    clip(session.ip ?? 'unknown', 60),
    ago(session.created_at),
    ago(session.last_used_at),
    ago(session.expires_at),
  ]);
  const end =
    mayEnd &&
    sessions.length > 0 &&
    markup`<div class="actions"><a class="button quiet" href="/ops/admins/${id}/end-sessions">End all sessions…</a></div>`;
  return section(
    'sessions',
    'Live sessions',
    markup`${table('Live sessions', columns, rows, 'Not logged in.')}${end}`,
    sessions.length > 0 && counted(sessions.length, 'session'),
  );
}
