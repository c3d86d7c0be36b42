import * as z from 'zod';
import { defineJob } from './define-job.js';

const notices = ['password_changed', 'email_change_requested', 'session_ended_by_reuse'] as const;

/** What an admin is told about, in case it was somebody else. */
export type SecurityNotice = (typeof notices)[number];

/** Tell an admin that something about its account has changed. */
export const sendSecurityNotice = defineJob({
  queue: 'mail',
  name: 'send-security-notice',
  schema: z.strictObject({
    v: z.literal(1),
    admin_id: z.int().positive(),
    notice: z.enum(notices),
  }),
});
