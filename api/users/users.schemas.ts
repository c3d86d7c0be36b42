import * as z from 'zod';
import { EmailInput, PersonNameInput } from '../http/inputs.js';
import { pageQuery } from '../http/pagination.js';

export const UsersQuery = z.strictObject(pageQuery);

export const CreateUserRequest = z.strictObject({
  email: EmailInput,
  name: PersonNameInput.nullable().optional(),
  active: z.boolean().optional().meta({ description: 'True unless said otherwise.' }),
});

export const UpdateUserRequest = z
  .strictObject({
    email: EmailInput.optional(),
    name: PersonNameInput.nullable().optional(),
    active: z.boolean().optional(),
  })
  .refine((changes) => Object.keys(changes).length > 0, 'must change something')
  .meta({ description: 'What is left out stays as it is.' });

export const User = z.object({
  id: z.int().positive(),
  email: z.string(),
  name: z.string().nullable(),
  active: z.boolean(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});

export const UserList = z.array(User);
