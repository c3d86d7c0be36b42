import * as z from 'zod';

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
