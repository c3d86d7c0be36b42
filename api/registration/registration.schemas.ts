import * as z from 'zod';
import { AdminNameInput, EmailInput } from '../http/input/inputs.js';
import { mailedToken, otherName } from '../mailed-links/mailed-links.schemas.js';
import { knownPassword, newPassword } from '../passwords/passwords.schemas.js';

/** The request of `POST /auth/register`. */
export const registerRequest = (passwordMinLength: number) =>
  z.strictObject({
    email: EmailInput,
    name: AdminNameInput,
    password: newPassword(passwordMinLength),
  });

export const ResendRequest = z.strictObject({ email: EmailInput });

export const ConfirmRequest = z.strictObject({
  token: mailedToken,
  password: knownPassword.meta({
    description: 'Of your registration or, to confirm a new address, of your account.',
  }),
  name: otherName,
});

export const Confirmed = z.object({ status: z.literal('confirmed') });
