import * as z from 'zod';
import { readReason } from '../../../shared/audit/audit.js';

/** Why an operator acts: the audit keeps it. */
export const Reason = z.string().transform((text, context) => {
  const reason = readReason(text);
  if (reason !== undefined) return reason;
  context.addIssue({ code: 'custom', message: 'must say why, in at most 500 characters' });
  return z.NEVER;
});

/** What a question is answered with. */
export const Answer = z.strictObject({ reason: Reason });

/** A field of a filter that a form sends although nothing is entered. */
export const optionalText = (maxLength: number) =>
  z
    .string()
    .max(maxLength)
    .transform((text) => text.trim() || undefined)
    .optional();

/** Where a list goes on. */
export const cursor = z.string().max(400).optional();

/** A day or a time as a form sends it, in UTC. */
export const optionalTime = z
  .string()
  .max(40)
  .transform((text, context) => {
    if (text === '') return undefined;
    const at = new Date(/[zZ]$|[+-]\d\d:\d\d$/.test(text) || text.length <= 10 ? text : `${text}Z`);
    if (!Number.isNaN(at.getTime())) return at;
    context.addIssue({ code: 'custom', message: 'must be a date, or a date and a time' });
    return z.NEVER;
  })
  .optional();
