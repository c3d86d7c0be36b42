import * as z from 'zod';
import { AdminNameInput } from '../http/input/inputs.js';

export const mailedToken = z
  .string()
  .min(1, 'must not be empty')
  .max(200, 'must be at most 200 characters')
  .meta({ description: 'The token from the mailed link.' });

export const otherName = AdminNameInput.optional().meta({
  description: 'Another name, when the one that you registered with has been taken.',
});

export const Accepted = z
  .object({ status: z.literal('accepted') })
  .meta({ description: 'The same for every address: the outcome is sent by mail.' });
