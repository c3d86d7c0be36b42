import * as z from 'zod';

/** Comma-separated; blanks around an item, and items without any text, don't count. */
export const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
);

/** One line, with no blank at either end: such an end comes from a file or a tool, and the fault would show only later. */
export const plainText = z
  .string()
  .regex(/^\P{Cc}+$/u, 'must not contain control characters, such as a newline')
  .refine((text) => text === text.trim(), 'must neither begin nor end with a blank');

/** Keys are derived from its exact text, which is the same when it becomes one of the {@link previousKeySecrets}. */
export const keySecret = plainText.refine(
  (text) => !text.includes(','),
  'must not contain a comma, which separates previous values',
);

export const previousKeySecrets = list.pipe(z.array(keySecret));

/** As a header of HTTP bears it behind `Bearer`. */
export const bearerToken = z
  .string()
  .regex(/^[!-~]+$/, 'must be ASCII, with neither blanks nor control characters');
