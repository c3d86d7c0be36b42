import * as z from 'zod';
import { EmailInput } from '../http/input/inputs.js';
import { mailedToken, otherName } from '../mailed-links/mailed-links.schemas.js';
import { newPassword } from '../passwords/passwords.schemas.js';

export const ForgotPasswordRequest = z.strictObject({ email: EmailInput });

/** The request of `POST /auth/password/reset`. */
export const resetPasswordRequest = (passwordMinLength: number) =>
  z.strictObject({
    token: mailedToken,
    password: newPassword(passwordMinLength),
    name: otherName,
  });
