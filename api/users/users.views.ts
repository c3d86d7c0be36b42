import type * as z from 'zod';
import type { User as UserModel } from '../../shared/models/index.js';
import type { User } from './users.schemas.js';

/** What a user looks like from outside. */
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
