import type * as z from 'zod';
import type { Admin as AdminModel, Session as SessionModel } from '../../shared/models/index.js';
import type { Admin, Login, Session } from './auth.schemas.js';
import type { IssuedTokens } from './session-tokens.js';

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

/** What a login or a refresh answers. */
export function loginView(issued: IssuedTokens, roleOf: RoleOf): z.input<typeof Login> {
  return {
    access_token: issued.accessToken,
    token_type: 'Bearer',
    expires_in: Math.floor(issued.accessExpiresMs / 1_000),
    refresh_token: issued.refreshToken,
    refresh_expires_in: Math.floor(issued.refreshExpiresMs / 1_000),
    admin: adminView(issued.admin, roleOf),
  };
}

/** What a session looks like to its admin. */
export function sessionView(session: SessionModel, currentId: number): z.input<typeof Session> {
  return {
    id: session.id,
    current: session.id === currentId,
    ip: session.ip,
    user_agent: session.userAgent,
    created_at: session.createdAt.toISOString(),
    last_used_at: session.lastUsedAt.toISOString(),
    expires_at: session.expiresAt.toISOString(),
  };
}
