import * as z from 'zod';
import { parseEmailAddress } from '../../shared/identity/email-address.js';
import { canonicalName } from './names.js';

const MAX_PASSWORD_CODE_POINTS = 128;
/** A login must accept what registration did, and may not say what registration would have said. */
const MAX_LOGIN_PASSWORD_LENGTH = 2_048;

/** Text without control, format or line-separating characters, so that it can go into a header, a log, a terminal. */
const printable = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]*$/u;

export const EmailInput = z
  .string()
  .max(320)
  .meta({
    description: 'An e-mail address; compared without regard to case.',
    examples: ['ann@example.com'],
  })
  .transform((text, issues) => {
    const address = parseEmailAddress(text);
    if (address) return address;
    issues.addIssue({
      code: 'custom',
      message: 'must be an e-mail address such as ann@example.com',
    });
    return z.NEVER;
  });

export const NameInput = z
  .string()
  .max(400)
  .meta({ description: 'At most 100 characters.', examples: ['Ann Example'] })
  .transform((text) => text.normalize('NFC').trim())
  .refine((text) => printable.test(text), 'must hold printable characters only')
  .refine((text) => canonicalName(text) !== '', 'must not be blank')
  .refine((text) => [...text].length <= 100, 'must be at most 100 characters');

/** Of the form that is hashed: a letter and its accent are one, however they came. */
const codePoints = (text: string): number => [...text.normalize('NFC')].length;

/** Hashing would read a lone surrogate as U+FFFD, so two passwords would be one. */
const isWellFormed = (text: string): boolean => text.isWellFormed();

/** A new password. The least length is the operator's choice, so the schema is made with it. */
const newPassword = (minLength: number) =>
  z
    .string()
    .max(MAX_PASSWORD_CODE_POINTS * 2)
    .refine(isWellFormed, 'must be well-formed Unicode')
    .refine(
      (text) => codePoints(text) <= MAX_PASSWORD_CODE_POINTS,
      `must be at most ${MAX_PASSWORD_CODE_POINTS} characters`,
    )
    .refine((text) => codePoints(text) >= minLength, `must be at least ${minLength} characters`)
    .meta({
      description: `${minLength} to ${MAX_PASSWORD_CODE_POINTS} characters, any. Length is what makes it strong.`,
      examples: ['correct horse battery staple'],
      format: 'password',
    });

const knownPassword = z
  .string()
  .min(1)
  .max(MAX_LOGIN_PASSWORD_LENGTH)
  .refine(isWellFormed, 'must be well-formed Unicode')
  .meta({ format: 'password', examples: ['correct horse battery staple'] });

/** The request of `POST /auth/register`. */
export const registerRequest = (passwordMinLength: number) =>
  z.strictObject({ email: EmailInput, name: NameInput, password: newPassword(passwordMinLength) });

export const LoginRequest = z.strictObject({ email: EmailInput, password: knownPassword });

export const RefreshRequest = z.strictObject({ refresh_token: z.string().min(1).max(2_048) });

export const ResendRequest = z.strictObject({ email: EmailInput });

const mailedToken = z
  .string()
  .min(1)
  .max(200)
  .meta({ description: 'The token from the mailed link.' });

const otherName = NameInput.optional().meta({
  description: 'Another name, when the one that you registered with has been taken.',
});

export const ConfirmRequest = z.strictObject({
  token: mailedToken,
  password: knownPassword.meta({
    description: 'Of your registration; of your account, if it is to have another address.',
  }),
  name: otherName,
});

/** The request of `PUT /auth/me`. */
export const updateMeRequest = (passwordMinLength: number) =>
  z
    .strictObject({
      name: NameInput.optional(),
      email: EmailInput.optional(),
      password: newPassword(passwordMinLength).optional(),
      current_password: knownPassword.optional(),
    })
    .refine(
      ({ name, email, password }) => [name, email, password].some((change) => change !== undefined),
      'must change something',
    )
    .meta({
      description:
        'What is left out stays as it is. `email` and `password` need `current_password`.',
    });

export const ForgotPasswordRequest = z.strictObject({ email: EmailInput });

/** The request of `POST /auth/password/reset`. */
export const resetPasswordRequest = (passwordMinLength: number) =>
  z.strictObject({
    token: mailedToken,
    password: newPassword(passwordMinLength),
    name: otherName,
  });

export const DeleteMeRequest = z.strictObject({ current_password: knownPassword });

export const Accepted = z
  .object({ status: z.literal('accepted') })
  .meta({ description: 'The same for every address: what happens next is told by mail.' });

export const Confirmed = z.object({ status: z.literal('confirmed') });

export const Admin = z.object({
  id: z.int().positive(),
  email: z.string(),
  name: z.string(),
  role: z.enum(['admin', 'operator']),
  confirmed_at: z.iso.datetime(),
  pending_email: z
    .string()
    .optional()
    .meta({ description: 'Takes the place of `email` once it is confirmed.' }),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});

export const AdminList = z.array(Admin);

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
