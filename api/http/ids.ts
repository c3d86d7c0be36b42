import * as z from 'zod';

/** The greatest id that a row can have: PostgreSQL's integer. */
export const MAX_ID = 2_147_483_647;

/** An id as it stands in a path or a query: digits and nothing else. */
const IdText = z
  .string()
  .regex(/^[1-9]\d{0,9}$/, 'must be a whole number from 1')
  .transform(Number)
  .refine((id) => id <= MAX_ID, `must be at most ${MAX_ID}`);

/** One id and nothing beside it: the parameters of a path, or a query in the original form. */
export const Id = z.strictObject({ id: IdText });
