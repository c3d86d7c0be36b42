import * as z from 'zod';

const FIRST = new Date('2000-01-01T00:00:00Z');
const END = new Date('2100-01-01T00:00:00Z');

/** A time that somebody else wrote: ISO 8601 with its zone, in years that can be meant. */
export const isoTime = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((at) => at >= FIRST && at < END);
