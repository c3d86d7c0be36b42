import * as z from 'zod';
import { MAX_ID } from '../../shared/database/ids.js';
import type { User as UserModel } from '../../shared/models/index.js';
import { EmailInput, PersonNameInput } from '../http/input/inputs.js';
import { pageQuery } from '../http/input/pagination.js';

export const UsersQuery = z.strictObject(pageQuery);

export const CreateUserRequest = z.strictObject({
  email: EmailInput,
  name: PersonNameInput.nullable().exactOptional(),
  active: z.boolean().exactOptional().meta({ description: 'True by default.' }),
});

export const UpdateUserRequest = z
  .strictObject({
    email: EmailInput.exactOptional(),
    name: PersonNameInput.nullable().exactOptional(),
    active: z.boolean().exactOptional(),
  })
  .refine((changes) => Object.keys(changes).length > 0, 'must change something')
  .meta({ minProperties: 1, description: 'Fields that are left out stay unchanged.' });

export const User = z.object({
  id: z.int().positive().max(MAX_ID),
  email: z.string(),
  name: z.string().nullable(),
  active: z.boolean(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});

/** A user as the API shows it. */
export function userView(user: UserModel): z.input<typeof User> {
  return {
    id: user.id,
    email: user.email,
    name: user.name,
    active: user.active,
    created_at: user.createdAt.toISOString(),
    updated_at: user.updatedAt.toISOString(),
  };
}

export const UserList = z.array(User);
