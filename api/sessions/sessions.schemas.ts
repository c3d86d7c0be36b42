import * as z from 'zod';
import { MAX_ID } from '../../shared/database/ids.js';
import type { Session as SessionModel } from '../../shared/models/index.js';
import { Admin, adminView } from '../admins/admins.schemas.js';
import type { RoleOf } from '../admins/admins.service.js';
import { EmailInput } from '../http/input/inputs.js';
import { knownPassword } from '../passwords/passwords.schemas.js';
import type { IssuedTokens } from './session-tokens.js';

export const LoginRequest = z.strictObject({ email: EmailInput, password: knownPassword });

export const RefreshRequest = z.strictObject({
  refresh_token: z
    .string()
    .min(1, 'must not be empty')
    .max(2_048, 'must be at most 2048 characters'),
});

export const Session = z.object({
  id: z.int().positive().max(MAX_ID),
  current: z.boolean().meta({ description: 'True for the session of this request.' }),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  created_at: z.iso.datetime(),
  last_used_at: z.iso
    .datetime()
    .meta({ description: 'When tokens were last issued for it: at login or refresh.' }),
  expires_at: z.iso.datetime(),
});

/** A session as its admin sees it. */
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

export const SessionList = z.array(Session);

export const Login = z.object({
  access_token: z
    .string()
    .meta({ description: 'Send it as `Authorization: Bearer ACCESS_TOKEN`.' }),
  token_type: z.literal('Bearer'),
  expires_in: z.int().positive().meta({ description: 'Seconds.' }),
  refresh_token: z.string(),
  refresh_expires_in: z.int().positive().meta({ description: 'Seconds.' }),
  admin: Admin,
});

/** The response to a login or a refresh. */
export function loginView(issued: IssuedTokens, roleOf: RoleOf): z.input<typeof Login> {
  const refreshExpiresIn = wholeSeconds(issued.refreshExpiresMs);
  return {
    access_token: issued.accessToken,
    token_type: 'Bearer',
    // No token outlives its session.
    expires_in: Math.min(wholeSeconds(issued.accessExpiresMs), refreshExpiresIn),
    refresh_token: issued.refreshToken,
    refresh_expires_in: refreshExpiresIn,
    admin: adminView(issued.admin, roleOf),
  };
}

/** At least one: it has not expired yet. */
const wholeSeconds = (ms: number): number => Math.max(1, Math.round(ms / 1_000));
