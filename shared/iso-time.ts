import * as z from 'zod';

const FIRST = new Date('2000-01-01T00:00:00Z');
const END = new Date('2100-01-01T00:00:00Z');

/** A time that somebody else wrote: ISO 8601 with its zone, in years that can be meant. */
export const isoTime = z.iso
  .datetime({ offset: true })
  .transform((text) => new Date(text))
  .refine((at) => at >= FIRST && at < END);

const DAY_OR_TIME = /^([\d-]+)(?:(T\d\d:\d\d)(:[\d.]+)?(Z|[+-]\d\d:\d\d)?)?$/;

/** A day or a time as a person enters it, in UTC unless it has a zone: `2026-01-31`, `2026-01-31T12:00`. Undefined for anything else. */
export function readDayOrTime(text: string): Date | undefined {
  const [, day, minute = 'T00:00', second = ':00', zone = 'Z'] = DAY_OR_TIME.exec(text) ?? [];
  return isoTime.safeParse(`${day}${minute}${second}${zone}`).data;
}
