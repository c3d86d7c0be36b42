import * as z from 'zod';
import { AdminNameInput, EmailInput } from '../http/input/inputs.js';
import { knownPassword, newPassword } from '../passwords/passwords.schemas.js';

/** The request of `PUT /auth/me`. */
export const updateMeRequest = (passwordMinLength: number) =>
  z
    .strictObject({
      name: AdminNameInput.optional(),
      email: EmailInput.optional(),
      password: newPassword(passwordMinLength).optional(),
      current_password: knownPassword.optional(),
    })
    .refine(
      ({ name, email, password }) => [name, email, password].some((change) => change !== undefined),
      'must change something',
    )
    .meta({
      minProperties: 1,
      description:
        'Fields that are left out stay unchanged. `email` and `password` need `current_password`.',
    });

export const DeleteMeRequest = z.strictObject({ current_password: knownPassword });
