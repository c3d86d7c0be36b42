import { literal, Op } from 'sequelize';
import type { Audit, Cause } from '../../shared/audit/audit.js';
import { NOW } from '../../shared/database/clock.js';
import type { Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { AppError } from '../../shared/errors/app-error.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin, type AdminRow } from '../../shared/models/index.js';
import { lockAdmin } from './admin-lock.js';

/** Determines the role of an admin. */
export type RoleOf = (
  admin: Pick<Admin, 'emailCanonical' | 'operatorSince'>,
) => 'admin' | 'operator';

/**
 * Admins are operators when the configuration lists their address or an operator has granted the role.
 * @param operatorEmails canonical.
 */
export function createRoleOf(operatorEmails: readonly string[]): RoleOf {
  const operators = new Set(operatorEmails);
  return ({ emailCanonical, operatorSince }) =>
    operatorSince !== null || operators.has(emailCanonical) ? 'operator' : 'admin';
}

/** One page of admins. */
export interface AdminQuery {
  readonly limit: number;
  /** Only admins with a greater id. */
  readonly after: number;
  /** Only admins with a live session. */
  readonly loggedIn: boolean;
}

const HAS_LIVE_SESSION = literal(
  'exists (select from sessions s where s.admin_id = "Admin".id and s.ended_at is null and s.expires_at > now())',
);

/** All admins for an operator, oldest first; for any other admin only itself. */
export async function listAdmins(
  { roleOf }: { readonly roleOf: RoleOf },
  asker: AdminRow,
  { limit, after, loggedIn }: AdminQuery,
): Promise<Admin[]> {
  const isOperator = roleOf(asker) === 'operator';
  const id = isOperator ? { [Op.gt]: after } : { [Op.gt]: after, [Op.eq]: asker.id };
  return Admin.findAll({
    where: { id, ...(loggedIn && { [Op.and]: HAS_LIVE_SESSION }) },
    order: [['id', 'ASC']],
    limit,
  });
}

export interface OperatorDeps {
  readonly database: Database;
  readonly audit: Audit;
}

/**
 * Grants or revokes the operator role; for the command line only, never by HTTP. Idempotent.
 * @returns whether anything changed.
 * @throws {AppError} `not_found` when no admin has the address.
 */
export async function setOperator(
  { database, audit }: OperatorDeps,
  email: EmailAddress,
  isOperator: boolean,
  cause: Cause,
): Promise<boolean> {
  return withTransaction(database, async (tx) => {
    const admin = await lockAdmin(tx, { emailCanonical: email.canonical });
    if (!admin) throw new AppError('not_found');
    if ((admin.operatorSince !== null) === isOperator) return false;
    await admin.update({ operatorSince: isOperator ? NOW : null }, { transaction: tx });
    const details = { role: isOperator ? 'operator' : 'admin' };
    const facts = { adminId: admin.id, details };
    await audit.record('privilege_permissions_changed', cause, facts, tx);
    return true;
  });
}
