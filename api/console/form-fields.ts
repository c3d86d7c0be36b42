import * as z from 'zod';
import { readReason } from '../../shared/audit/audit.js';
import { isStorable } from '../../shared/database/storable-text.js';
import { AppError } from '../../shared/errors/app-error.js';
import { readTypedAddress, type EmailAddress } from '../../shared/identity/email-address.js';
import { readDayOrTime } from '../../shared/iso-time.js';

/** Why an operator acts: the audit keeps it. */
export const Reason = z.string().transform((text, context) => {
  const reason = readReason(text);
  if (reason !== undefined) return reason;
  context.addIssue({
    code: 'custom',
    message: 'must give a reason, in one line of at most 500 characters',
  });
  return z.NEVER;
});

/** What a question is answered with. */
export const Answer = z.strictObject({ reason: Reason });

/** A field of a filter that a form sends although nothing is entered. */
export const optionalText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .refine(isStorable, 'must be well-formed Unicode without NUL')
    .transform((text) => text.trim() || undefined)
    .optional();

/** An e-mail address as somebody types it. @throws {AppError} `not_found` for what is no address: nothing is known of it. */
export function requireAddress(text: string): EmailAddress {
  const email = readTypedAddress(text);
  if (!email) throw new AppError('not_found', { detail: 'This is not an e-mail address.' });
  return email;
}

/** Where a list goes on. */
export const cursor = z.string().max(400).optional();

/** A day or a time as a form sends it, in UTC. */
export const optionalTime = z
  .string()
  .max(40)
  .transform((text, context) => {
    if (text === '') return undefined;
    const at = readDayOrTime(text);
    if (at) return at;
    context.addIssue({ code: 'custom', message: 'must be a date, or a date and a time' });
    return z.NEVER;
  })
  .optional();
