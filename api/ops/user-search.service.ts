import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { AppError } from '../../shared/errors/app-error.js';
import { allOf, when } from './condition.js';
import { IntegerId, pageOf, placeOf, type Page, type PageRequest } from './keyset.js';

/** A user, as an operator sees it. */
export interface UserSummary {
  readonly id: number;
  readonly admin_id: number;
  readonly email: string;
  readonly name: string | null;
  readonly active: boolean;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Which users: those that fit every field. */
export interface UserFilter {
  readonly adminId?: number | undefined;
  /** How the address or the name begins, in either case. */
  readonly prefix?: string | undefined;
}

const COLUMNS = 'id, admin_id, email, name, active, created_at, updated_at';

/** Whole rows are compared and sorted, so that they are read in the order of the index (admin_id, id), from the cursor on. */
const OF_ADMIN = '(admin_id, id) > ($adminId, $after::bigint) and admin_id <= $adminId';

/** Users of all admins, the oldest first. @throws {AppError} `invalid_cursor`. */
export async function searchUsers(
  { database }: { readonly database: Database },
  { adminId, prefix }: UserFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<UserSummary>> {
  const [after] = placeOf(IntegerId, cursor) ?? [];
  const { sql, bind } = allOf([
    adminId === undefined
      ? when('after', after, 'id > $after::bigint')
      : { sql: OF_ADMIN, bind: { adminId, after: after ?? '0' } },
    when(
      'prefix',
      prefix?.trim().normalize('NFC'),
      // JavaScript and PostgreSQL differ about the lower case of some letters.
      'starts_with(email_canonical, lower($prefix::text)) or starts_with(lower(name), lower($prefix::text))',
    ),
  ]);
  const found = await database.query<UserSummary>(
    `select ${COLUMNS} from users where ${sql} order by ${adminId === undefined ? 'id' : 'admin_id, id'} limit $limit`,
    { type: QueryTypes.SELECT, bind: { ...bind, limit: limit + 1 } },
  );
  return pageOf(found, limit, ({ id }) => [String(id)]);
}

/** One user of any admin. @throws {AppError} `not_found`. */
export async function readUser(
  { database }: { readonly database: Database },
  id: number,
): Promise<UserSummary> {
  const [user] = await database.query<UserSummary>(`select ${COLUMNS} from users where id = $id`, {
    type: QueryTypes.SELECT,
    bind: { id },
  });
  if (!user) throw new AppError('not_found', { detail: 'there is no such user' });
  return user;
}
