import { violates } from '../../shared/database/failures.js';
import { retryConflicts } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import { User } from '../../shared/models/index.js';
import type { CreatedUser, InsertUser, NewUser } from './users.statements.js';

// Every function takes the admin whose users it is about. A user of another admin is `not_found`, exactly like one that does
// not exist.

export interface CreateUserDeps {
  readonly insertUser: InsertUser;
}

/**
 * Creates a user.
 * @returns its id, and the user as JSON.
 * @throws {AppError} `email_taken` when this admin has a user with the address; `unauthorized` when it was deleted.
 */
export async function createUser(
  { insertUser }: CreateUserDeps,
  adminId: number,
  user: NewUser,
): Promise<CreatedUser> {
  const created = await mapConstraints(() => insertUser({ adminId, ...user }));
  if (!created) throw new AppError('email_taken');
  return created;
}

/**
 * Changes what is given; the rest stays as it is.
 * @throws {AppError} `not_found`, `email_taken`.
 */
export async function updateUser(
  adminId: number,
  id: number,
  { email, ...fields }: Partial<NewUser>,
): Promise<User> {
  const changes = {
    ...fields,
    ...(email && { email: email.address, emailCanonical: email.canonical }),
  };
  // Two users that exchange their addresses deadlock.
  const [, [user]] = await mapConstraints(() =>
    retryConflicts(() => User.update(changes, { where: { id, adminId }, returning: true })),
  );
  if (!user) throw new AppError('not_found');
  return user;
}

/** @throws {AppError} `not_found`. */
export async function deleteUser(adminId: number, id: number): Promise<void> {
  const count = await User.destroy({ where: { id, adminId } });
  if (count === 0) throw new AppError('not_found');
}

/** @throws {AppError} `not_found`. */
export async function requireUser(adminId: number, id: number): Promise<void> {
  if ((await User.count({ where: { id, adminId } })) === 0) throw new AppError('not_found');
}

async function mapConstraints<Written>(write: () => Promise<Written>): Promise<Written> {
  try {
    return await write();
  } catch (error) {
    if (violates(error, 'users_admin_email_key'))
      throw new AppError('email_taken', { cause: error });
    // The admin was deleted after it was authenticated.
    if (violates(error, 'users_admin_id_fkey'))
      throw new AppError('unauthorized', { cause: error });
    throw error;
  }
}
