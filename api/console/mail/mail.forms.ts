import * as z from 'zod';
import { MAX_RATE } from '../../ops/mail/bulk-actions.service.js';
import { cursor, optionalText, optionalTime, Reason } from '../form-fields.js';

export const MessageId = z.object({ id: z.uuid() });

export const MailQuery = z.object({ q: optionalText(254) });

const filter = {
  state: z.enum(['dead', 'uncertain']).default('dead'),
  cause: optionalText(200),
  mail: optionalText(100),
  recipient: optionalText(254),
  since: optionalTime,
  until: optionalTime,
};

export const DeadLettersQuery = z.object({ ...filter, cursor });

export const BulkForm = z.strictObject({
  ...filter,
  reason: Reason,
  rate: z
    .string()
    .regex(/^\d{1,4}(?:\.\d{1,2})?$/, 'must be a number')
    .transform(Number)
    .refine((rate) => rate > 0 && rate <= MAX_RATE, `must be more than 0, up to ${MAX_RATE}`)
    .default(10),
});

export const AddressQuery = z.object({ address: z.string().min(3).max(254) });

export const LiftForm = z.strictObject({ address: z.string().min(3).max(254), reason: Reason });

export const SuppressionsQuery = z.object({ prefix: optionalText(254), cursor });
