import * as z from 'zod';
import { Admin } from '../admins/admins.schemas.js';
import { EmailInput } from '../http/inputs.js';
import { knownPassword } from '../passwords/passwords.schemas.js';

export const LoginRequest = z.strictObject({ email: EmailInput, password: knownPassword });

export const RefreshRequest = z.strictObject({
  refresh_token: z
    .string()
    .min(1, 'must not be empty')
    .max(2_048, 'must be at most 2048 characters'),
});

export const Session = z.object({
  id: z.int().positive(),
  current: z.boolean().meta({ description: 'True for the session that asks.' }),
  ip: z.string().nullable(),
  user_agent: z.string().nullable(),
  created_at: z.iso.datetime(),
  last_used_at: z.iso
    .datetime()
    .meta({ description: 'When tokens were last issued for it: at login or refresh.' }),
  expires_at: z.iso.datetime(),
});

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
