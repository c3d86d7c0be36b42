import {
  readAdminDetails,
  searchAdmins,
  searchRegistrations,
  sendConfirmation,
  type AdminDetails,
  type AdminSummary,
  type PendingRegistration,
} from '../../api/ops/admin-search.service.js';
import { liftPasswordLocks } from '../../api/ops/password-locks.service.js';
import { readId } from '../../shared/database/ids.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import {
  nextPage,
  pageOptions,
  pageRequestOf,
  type Arguments,
  type Command,
  type CommandResult,
} from '../command.js';
import { columns, countText, timeText } from '../text.js';
import { causeOfCommand, readAddress, reasonOption, withRateLimits, withTools } from '../tools.js';

const search = {
  name: 'TEXT',
  summary: 'the beginning of an address or a name, or an id',
};

const adminArgument = { name: 'ADMIN', summary: 'an id or an address' };

/** Admins, and registrations that wait for confirmation. */
export const adminCommands: readonly Command[] = [
  { name: 'admins list', options: pageOptions, summary: 'lists the admins', run: find },
  {
    name: 'admins search',
    arguments: [search],
    options: pageOptions,
    summary: 'finds admins and registrations by address, name or id',
    run: find,
  },
  {
    name: 'admins show',
    arguments: [adminArgument],
    summary: 'shows an admin with its live sessions, and what locks it out',
    run: show,
  },
  {
    name: 'admins unlock',
    arguments: [adminArgument],
    options: [reasonOption],
    summary: 'lifts the locks that wrong passwords put on an admin',
    run: unlock,
  },
  {
    name: 'admins confirm',
    arguments: [{ name: 'ADDRESS', summary: 'a registered address that is not confirmed' }],
    options: [reasonOption],
    summary: 'sends another confirmation link to a registered address',
    run: confirm,
  },
];

async function find(args: Arguments): Promise<CommandResult> {
  const [text = ''] = args.words;
  const request = pageRequestOf(args);
  return withTools(args, async (tools) => {
    const { rows, next } = await searchAdmins(tools, text, request);
    const registrations = text === '' ? [] : await searchRegistrations(tools, text);
    const lines = [...columns(rows.map(rowOf)), ...registrations.map(registrationText)];
    return {
      lines: lines.length === 0 ? ['none found'] : [...lines, ...nextPage(next)],
      facts: { admins: rows, registrations, next },
    };
  });
}

const rowOf = (admin: AdminSummary): string[] => [
  String(admin.id),
  admin.email,
  admin.name,
  admin.operator_since ? 'operator' : '',
  admin.live_sessions > 0 ? countText(admin.live_sessions, 'session') : '',
];

const registrationText = ({ email, name, times, newest_at }: PendingRegistration): string =>
  `not confirmed: ${email}, as ${name}, registered ${countText(times, 'time')}, last ${timeText(newest_at)}`;

async function show(args: Arguments): Promise<CommandResult> {
  const which = readWhich(args);
  return withTools(args, async (tools) => {
    const admin = await readAdminDetails(tools, which);
    return { lines: describe(admin), facts: { ...admin } };
  });
}

/** @throws {UsageError} */
function readWhich({ words }: Arguments): { readonly id: number } | EmailAddress {
  const [text = ''] = words;
  const id = readId(text);
  return id === undefined ? readAddress(text) : { id };
}

function describe(admin: AdminDetails): string[] {
  const { id, email, name, pending_email: pending, operator_since: since, users, sessions } = admin;
  return [
    `admin ${id}, ${name}, ${email}`,
    `  confirmed ${timeText(admin.confirmed_at)}, registered ${timeText(admin.created_at)}, ${countText(users, 'user')}`,
    ...(since ? [`  operator since ${timeText(since)}`] : []),
    ...(pending === null ? [] : [`  new address, not confirmed: ${pending}`]),
    ...admin.locks.map(
      ({ limit, count, ip, until }) =>
        `  LOCKED OUT until ${timeText(until)} by the limit ${limit}, after attempts from ${ip ?? 'unknown'}${count > 1 ? `, and by ${count - 1} more locks of that limit` : ''}`,
    ),
    ...(admin.locks.length === 0 ? [] : [`  Lift that: \`admins unlock ${email}\``]),
    `  ${countText(sessions.length, 'live session')}`,
    ...sessions.map(
      (session) =>
        `    ${session.id}  ${session.is_console ? 'console' : 'API'}  since ${timeText(session.created_at)}, used ${timeText(session.last_used_at)}, from ${session.ip ?? 'unknown'}: ${session.user_agent ?? 'no user agent'}`,
    ),
    `Its mails: \`mail show ${email}\``,
  ];
}

async function unlock(args: Arguments): Promise<CommandResult> {
  const which = readWhich(args);
  const admin = 'id' in which ? which : { emailCanonical: which.canonical };
  const cause = causeOfCommand(args);
  const { email, limits } = await withTools(args, (tools) =>
    withRateLimits(args, (rateLimiting) =>
      liftPasswordLocks({ ...tools, rateLimiting }, admin, cause),
    ),
  );
  const text =
    limits.length === 0
      ? `${email} is not locked out by wrong passwords: nothing was changed`
      : `${email} is no longer locked out: lifted ${limits.join(', ')}`;
  return { lines: [text], facts: { email, lifted: limits } };
}

async function confirm(args: Arguments): Promise<CommandResult> {
  const [text = ''] = args.words;
  const email = readAddress(text);
  const cause = causeOfCommand(args);
  const outcome = await withTools(args, (tools) => sendConfirmation(tools, email, cause));
  if (outcome === 'suppressed')
    throw new Error('the address is suppressed: run `mail unsuppress` first');
  return {
    lines: [`another link is on its way to ${email.address}: follow it with \`mail show\``],
    facts: { email: email.address, requested: true },
  };
}
