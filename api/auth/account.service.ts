import { literal, Op } from 'sequelize';
import { violates } from '../../shared/database/failures.js';
import { AppError } from '../../shared/errors/app-error.js';
import { Admin } from '../../shared/models/index.js';
import type { RoleOf } from './auth.views.js';
import { canonicalName } from './names.js';
import type { Passwords } from './passwords.js';

/** Which admins a listing wants. */
export interface AdminQuery {
  readonly limit: number;
  /** Only admins with a greater id. */
  readonly after: number;
  /** Only admins with a live session. */
  readonly loggedIn: boolean;
}

/** What accounts are made of. */
export interface AccountDeps {
  readonly passwords: Passwords;
  readonly roleOf: RoleOf;
}

/** An admin's dealings with its own account. */
export type AccountService = ReturnType<typeof createAccountService>;

const HAS_LIVE_SESSION = literal(
  'exists (select from sessions s where s.admin_id = "Admin".id and s.ended_at is null and s.expires_at > now())',
);

export function createAccountService({ passwords, roleOf }: AccountDeps) {
  /** @throws {AppError} `name_taken`. */
  async function rename(admin: Admin, name: string): Promise<Admin> {
    try {
      return await admin.update({ name, nameCanonical: canonicalName(name) });
    } catch (error) {
      if (violates(error, 'admins_confirmed_name_key'))
        throw new AppError('name_taken', { cause: error });
      throw error;
    }
  }

  /**
   * Deletes an admin with its users, sessions and confirmations.
   * @throws {AppError} `wrong_password`.
   */
  async function remove(admin: Admin, currentPassword: string): Promise<void> {
    if (!(await passwords.verify(currentPassword, () => Promise.resolve(admin))))
      throw new AppError('wrong_password');
    await admin.destroy();
  }

  /** All admins for an operator, oldest first; itself for any other admin. */
  async function list(asker: Admin, { limit, after, loggedIn }: AdminQuery): Promise<Admin[]> {
    const scope =
      roleOf(asker) === 'operator' ? { [Op.gt]: after } : { [Op.gt]: after, [Op.eq]: asker.id };
    return Admin.findAll({
      where: { id: scope, ...(loggedIn && { [Op.and]: HAS_LIVE_SESSION }) },
      order: [['id', 'ASC']],
      limit,
    });
  }

  return { rename, remove, list };
}
