import * as z from 'zod';
import { defineJob } from './define-job.js';

/**
 * Mail the owner of an address what is due for what was asked: a link, or word that there is an account already. The
 * worker decides which, if any, from the rows as they are when it sends.
 */
export const sendConfirmationMail = defineJob({
  queue: 'mail',
  name: 'send-confirmation-mail',
  schema: z.strictObject({ v: z.literal(1), confirmation_id: z.uuid() }),
});
