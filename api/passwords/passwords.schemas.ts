import * as z from 'zod';

const MAX_PASSWORD_CODE_POINTS = 128;
/** A composed code point may come decomposed, as up to four of two units each: no password that is taken is longer. */
const MAX_PASSWORD_UNITS = MAX_PASSWORD_CODE_POINTS * 8;
/** A login must accept what registration did, and may not say what registration would have said. */
const MAX_LOGIN_PASSWORD_LENGTH = 2_048;
/** Is taken, and nobody would keep it. */
const EXAMPLE_PASSWORD = 'replace me with a password of your own';

/** Of the form that is hashed: a letter and its accent are one, however they came. */
const codePoints = (text: string): number => [...text.normalize('NFC')].length;

/** Hashing would read a lone surrogate as U+FFFD, so two passwords would be one. */
const isWellFormed = (text: string): boolean => text.isWellFormed();

const isShortEnough = (text: string): boolean =>
  text.length <= MAX_PASSWORD_UNITS && codePoints(text) <= MAX_PASSWORD_CODE_POINTS;

/** A new password. The least length is the operator's choice, so the schema is made with it. */
export const newPassword = (minLength: number) =>
  z
    .string()
    .refine(isShortEnough, {
      error: `must be at most ${MAX_PASSWORD_CODE_POINTS} characters`,
      abort: true,
    })
    .refine(isWellFormed, 'must be well-formed Unicode')
    .refine((text) => codePoints(text) >= minLength, `must be at least ${minLength} characters`)
    .meta({
      description: `${minLength} to ${MAX_PASSWORD_CODE_POINTS} characters, any, counted as composed (NFC). Length is what makes it strong.`,
      examples: [EXAMPLE_PASSWORD],
      format: 'password',
      minLength,
      maxLength: MAX_PASSWORD_CODE_POINTS,
    });

/** A password that somebody has: not judged, only bounded. */
export const knownPassword = z
  .string()
  .min(1, 'must not be empty')
  .max(MAX_LOGIN_PASSWORD_LENGTH, `must be at most ${MAX_LOGIN_PASSWORD_LENGTH} characters`)
  .refine(isWellFormed, 'must be well-formed Unicode')
  .meta({ format: 'password', examples: [EXAMPLE_PASSWORD] });
