import { readUser, searchUsers, type UserSummary } from '../../api/ops/user-search.service.js';
import { MAX_ID, readId } from '../../shared/database/ids.js';
import {
  countOf,
  nextPage,
  pageOptions,
  pageRequestOf,
  UsageError,
  type Arguments,
  type Command,
  type CommandResult,
} from '../command.js';
import { columns, timeText } from '../text.js';
import { withTools } from '../tools.js';

const listOptions = [
  { flags: '--admin <ID>', summary: 'only the users of this admin' },
  ...pageOptions,
];

/** Users of all admins. */
export const userCommands: readonly Command[] = [
  { name: 'users list', options: listOptions, summary: 'lists the users of all admins', run: find },
  {
    name: 'users search',
    arguments: [{ name: 'TEXT', summary: 'the beginning of an address or a name' }],
    options: listOptions,
    summary: 'finds users by address or name',
    run: find,
  },
  {
    name: 'users show',
    arguments: [{ name: 'ID', summary: 'the id of the user' }],
    summary: 'shows a user',
    run: show,
  },
];

async function find(args: Arguments): Promise<CommandResult> {
  const [prefix] = args.words;
  const adminId = countOf(args, 'admin', MAX_ID);
  const request = pageRequestOf(args);
  return withTools(args, async (tools) => {
    const { rows, next } = await searchUsers(tools, { adminId, prefix }, request);
    return {
      lines: rows.length === 0 ? ['none found'] : [...columns(rows.map(rowOf)), ...nextPage(next)],
      facts: { users: rows, next },
    };
  });
}

const rowOf = ({ id, admin_id, email, name, active }: UserSummary): string[] => [
  String(id),
  `of admin ${admin_id}`,
  email,
  name ?? '',
  active ? '' : 'inactive',
];

async function show(args: Arguments): Promise<CommandResult> {
  const [text = ''] = args.words;
  const id = readId(text);
  if (id === undefined) throw new UsageError(`${text} is not the id of a user`);
  return withTools(args, async (tools) => {
    const user = await readUser(tools, id);
    return {
      lines: [
        rowOf(user).filter(Boolean).join('  '),
        `  created ${timeText(user.created_at)}, changed ${timeText(user.updated_at)}`,
      ],
      facts: { ...user },
    };
  });
}
