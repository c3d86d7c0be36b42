import * as z from 'zod';
import { defineJob } from './define-job.js';

/** Tell the owner of an account that somebody tried to register its address again. */
export const sendAccountExistsMail = defineJob({
  queue: 'mail',
  name: 'send-account-exists-mail',
  schema: z.strictObject({ v: z.literal(1), admin_id: z.int().positive() }),
});
