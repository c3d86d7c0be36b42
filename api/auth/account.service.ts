import { literal, Op } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import { violates } from '../../shared/database/failures.js';
import { withTransaction, type Transaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin } from '../../shared/models/index.js';
import type { AccountNotices } from './account-notices.js';
import type { RoleOf } from './auth.views.js';
import type { Confirmations } from './confirmations.js';
import { canonicalName } from './names.js';
import { refuseCommonPassword } from './password-policy.js';
import type { Passwords } from './passwords.js';
import { endSessions } from './session-end.js';
import type { Principal } from './session.service.js';

/** What an admin changes of itself. An address and a password need the current password. */
export interface AccountChanges {
  readonly name?: string | undefined;
  readonly email?: EmailAddress | undefined;
  readonly password?: string | undefined;
  readonly currentPassword?: string | undefined;
}

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
  readonly database: Database;
  readonly passwords: Passwords;
  readonly confirmations: Confirmations;
  readonly notices: AccountNotices;
  readonly roleOf: RoleOf;
}

/** An admin's dealings with its own account. */
export type AccountService = ReturnType<typeof createAccountService>;

const HAS_LIVE_SESSION = literal(
  'exists (select from sessions s where s.admin_id = "Admin".id and s.ended_at is null and s.expires_at > now())',
);

export function createAccountService({
  database,
  passwords,
  confirmations,
  notices,
  roleOf,
}: AccountDeps) {
  /**
   * Changes all that is asked for, or nothing. A new password ends all other sessions; a new address waits until the
   * link mailed to it is followed, and the old one is told.
   * @throws {AppError} `wrong_password`, `password_too_common`, `name_taken`.
   */
  async function change(
    { admin, sessionId }: Principal,
    changes: AccountChanges,
    traceId: string,
  ): Promise<Admin> {
    const { name, email, password } = changes;
    if (email !== undefined || password !== undefined)
      await requirePassword(passwords, admin, changes.currentPassword);
    if (password !== undefined) {
      refuseCommonPassword(password, { email: admin.emailCanonical, name: name ?? admin.name });
    }
    const passwordHash = password === undefined ? undefined : await passwords.hash(password);
    try {
      return await withTransaction(database, async (tx) => {
        await admin.update(
          {
            ...(name !== undefined && { name, nameCanonical: canonicalName(name) }),
            ...(passwordHash !== undefined && { passwordHash }),
          },
          { transaction: tx },
        );
        if (passwordHash !== undefined) {
          await endSessions({ adminId: admin.id, except: sessionId }, 'password', tx);
          await notices.tell(tx, admin.id, 'password_changed', traceId);
        }
        if (email !== undefined) await askForAddress(tx, admin, email, traceId);
        return admin;
      });
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
    await requirePassword(passwords, admin, currentPassword);
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

  /** The answer is the same whether somebody has the address or not; its owner is told by mail. */
  async function askForAddress(
    tx: Transaction,
    admin: Admin,
    email: EmailAddress,
    traceId: string,
  ): Promise<void> {
    const question = { adminId: admin.id, purpose: 'email_change', email: email.address } as const;
    if (email.canonical === admin.emailCanonical) {
      await confirmations.withdraw(tx, question);
      await admin.update({ email: email.address, pendingEmail: null }, { transaction: tx });
      return;
    }
    await admin.update({ pendingEmail: email.address }, { transaction: tx });
    await notices.tell(tx, admin.id, 'email_change_requested', traceId);
    const owner = await Admin.findOne({
      where: { emailCanonical: email.canonical, confirmedAt: { [Op.ne]: null } },
      transaction: tx,
    });
    if (owner) await notices.tellAccountExists(tx, owner.id, traceId);
    else await confirmations.ask(tx, question, traceId);
  }

  return { change, remove, list };
}

async function requirePassword(
  passwords: Passwords,
  admin: Admin,
  password: string | undefined,
): Promise<void> {
  const owner =
    password !== undefined && (await passwords.verify(password, () => Promise.resolve(admin)));
  if (!owner) throw new AppError('wrong_password');
}
