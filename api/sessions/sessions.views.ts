import type * as z from 'zod';
import type { Session as SessionModel } from '../../shared/models/index.js';
import { adminView, type RoleOf } from '../admins/admins.views.js';
import type { IssuedTokens } from './session-tokens.js';
import type { Login, Session } from './sessions.schemas.js';

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
