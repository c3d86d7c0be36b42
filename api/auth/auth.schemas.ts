import * as z from 'zod';
import { addressLength, readTypedAddress } from '../../shared/identity/email-address.js';
import { mixesScripts, nameLength, readPersonName } from '../../shared/identity/person-name.js';

const MAX_PASSWORD_CODE_POINTS = 128;
/** A composed code point may come decomposed, as up to four of two units each: no password that is taken is longer. */
const MAX_PASSWORD_UNITS = MAX_PASSWORD_CODE_POINTS * 8;
/** A login must accept what registration did, and may not say what registration would have said. */
const MAX_LOGIN_PASSWORD_LENGTH = 2_048;
/** Is taken, and nobody would keep it. */
const EXAMPLE_PASSWORD = 'replace me with a password of your own';

export const EmailInput = z
  .string()
  .meta({
    description:
      'An e-mail address; compared without regard to case. Blanks around it do not count.',
    examples: ['ann@example.com'],
    minLength: addressLength.min,
    maxLength: addressLength.max,
  })
  .transform((text, issues) => {
    const address = readTypedAddress(text);
    if (address) return address;
    issues.addIssue({
      code: 'custom',
      message: 'must be an e-mail address such as ann@example.com',
    });
    return z.NEVER;
  });

/** The name of a person, as it is stored. */
export const PersonNameInput = z
  .string()
  .meta({
    description:
      'At most 100 characters, as composed (NFC): letters, marks, digits, punctuation, symbols and spaces of any script.',
    examples: ['Ann Example'],
    minLength: nameLength.min,
    maxLength: nameLength.max,
  })
  .transform((text, issues) => {
    const reading = readPersonName(text);
    if ('name' in reading) return reading.name;
    issues.addIssue({ code: 'custom', message: reading.fault });
    return z.NEVER;
  });

/** The name of an admin, which others tell it by: see ADR 20. */
const NameInput = PersonNameInput.refine(
  (name) => !mixesScripts(name),
  'must not mix scripts that look alike within a word',
);

/** Of the form that is hashed: a letter and its accent are one, however they came. */
const codePoints = (text: string): number => [...text.normalize('NFC')].length;

/** Hashing would read a lone surrogate as U+FFFD, so two passwords would be one. */
const isWellFormed = (text: string): boolean => text.isWellFormed();

const isShortEnough = (text: string): boolean =>
  text.length <= MAX_PASSWORD_UNITS && codePoints(text) <= MAX_PASSWORD_CODE_POINTS;

/** A new password. The least length is the operator's choice, so the schema is made with it. */
const newPassword = (minLength: number) =>
  z
    .string()
    .refine(isShortEnough, {
      error: `must be at most ${MAX_PASSWORD_CODE_POINTS} characters`,
      abort: true,
    })
    .refine(isWellFormed, 'must be well-formed Unicode')
    .refine((text) => codePoints(text) >= minLength, `must be at least ${minLength} characters`)
    .meta({
      description: `${minLength} to ${MAX_PASSWORD_CODE_POINTS} characters, any, counted as composed (NFC). Length is what makes it strong.`,
      examples: [EXAMPLE_PASSWORD],
      format: 'password',
      minLength,
      maxLength: MAX_PASSWORD_CODE_POINTS,
    });

const knownPassword = z
  .string()
  .min(1, 'must not be empty')
  .max(MAX_LOGIN_PASSWORD_LENGTH, `must be at most ${MAX_LOGIN_PASSWORD_LENGTH} characters`)
  .refine(isWellFormed, 'must be well-formed Unicode')
  .meta({ format: 'password', examples: [EXAMPLE_PASSWORD] });

/** The request of `POST /auth/register`. */
export const registerRequest = (passwordMinLength: number) =>
  z.strictObject({ email: EmailInput, name: NameInput, password: newPassword(passwordMinLength) });

export const LoginRequest = z.strictObject({ email: EmailInput, password: knownPassword });

export const RefreshRequest = z.strictObject({
  refresh_token: z
    .string()
    .min(1, 'must not be empty')
    .max(2_048, 'must be at most 2048 characters'),
});

export const ResendRequest = z.strictObject({ email: EmailInput });

const mailedToken = z
  .string()
  .min(1, 'must not be empty')
  .max(200, 'must be at most 200 characters')
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
