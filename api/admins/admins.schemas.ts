import * as z from 'zod';
import { MAX_ID } from '../../shared/database/ids.js';
import type { AdminRow } from '../../shared/models/index.js';
import { pageQuery } from '../http/input/pagination.js';
import type { RoleOf } from './admins.service.js';

export const AdminsQuery = z.strictObject({
  ...pageQuery,
  logged_in: z.enum(['true', 'false']).default('false'),
});

export const Admin = z.object({
  id: z.int().positive().max(MAX_ID),
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

/** An admin as the API shows it. */
export function adminView(admin: AdminRow, roleOf: RoleOf): z.input<typeof Admin> {
  return {
    id: admin.id,
    email: admin.email,
    name: admin.name,
    role: roleOf(admin),
    confirmed_at: admin.confirmedAt.toISOString(),
    ...(admin.pendingEmail !== null && { pending_email: admin.pendingEmail }),
    created_at: admin.createdAt.toISOString(),
    updated_at: admin.updatedAt.toISOString(),
  };
}

export const AdminList = z.array(Admin);
