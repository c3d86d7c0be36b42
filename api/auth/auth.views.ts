import type * as z from 'zod';
import type { Admin as AdminModel } from '../../shared/models/index.js';
import type { Admin } from './auth.schemas.js';

/** Tells who is an operator. */
export type RoleOf = (
  admin: Pick<AdminModel, 'emailCanonical' | 'confirmedAt'>,
) => 'admin' | 'operator';

/** Confirmed admins whose addresses the configuration names are operators. */
export function createRoleOf(operatorEmails: readonly string[]): RoleOf {
  const operators = new Set(operatorEmails.map((email) => email.toLowerCase()));
  return ({ emailCanonical, confirmedAt }) =>
    confirmedAt !== null && operators.has(emailCanonical) ? 'operator' : 'admin';
}

/** What an admin looks like from outside. */
export function adminView(admin: AdminModel, roleOf: RoleOf): z.input<typeof Admin> {
  return {
    id: admin.id,
    email: admin.email,
    name: admin.name,
    role: roleOf(admin),
    confirmed_at: admin.confirmedAt?.toISOString() ?? null,
    created_at: admin.createdAt.toISOString(),
    updated_at: admin.updatedAt.toISOString(),
  };
}
