import * as z from 'zod';
import { defineJob } from './define-job.js';

/** Mail the link of a confirmation, whatever its purpose. Obsolete once the link is used, replaced or expired. */
export const sendConfirmationMail = defineJob({
  queue: 'mail',
  name: 'send-confirmation-mail',
  schema: z.strictObject({ v: z.literal(1), confirmation_id: z.uuid() }),
});
