import type * as z from 'zod';
import type { Admin as AdminModel } from '../../shared/models/index.js';
import type { Admin } from './admins.schemas.js';

/** Tells who is an operator. */
export type RoleOf = (
  admin: Pick<AdminModel, 'emailCanonical' | 'operatorSince'>,
) => 'admin' | 'operator';

/**
 * Admins are operators when the configuration names their address or an operator has granted it.
 * @param operatorEmails canonical.
 */
export function createRoleOf(operatorEmails: readonly string[]): RoleOf {
  const operators = new Set(operatorEmails);
  return ({ emailCanonical, operatorSince }) =>
    operatorSince !== null || operators.has(emailCanonical) ? 'operator' : 'admin';
}

/** What an admin looks like from outside. */
export function adminView(admin: AdminModel, roleOf: RoleOf): z.input<typeof Admin> {
  return {
    id: admin.id,
    email: admin.email,
    name: admin.name,
    role: roleOf(admin),
    confirmed_at: admin.confirmedAt.toISOString(),
    ...(admin.pendingEmail !== null && { pending_email: admin.pendingEmail }),
    created_at: admin.createdAt.toISOString(),
    updated_at: admin.updatedAt.toISOString(),
  };
}
