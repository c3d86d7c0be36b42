import * as z from 'zod';

const MAX_PASSWORD_CODE_POINTS = 128;
/** A composed code point may arrive decomposed, as up to four code points of two UTF-16 units: no valid password is longer. */
const MAX_PASSWORD_UNITS = MAX_PASSWORD_CODE_POINTS * 8;
/** A login must accept every password that registration ever accepted, and must not reveal the rules for new ones. */
const MAX_LOGIN_PASSWORD_LENGTH = 2_048;
/** Long enough, obviously to be replaced, and too common to be taken. */
const EXAMPLE_PASSWORD = 'replace me with a password of your own';

/** Counted in the form that is hashed (NFC): a letter and its accent are one. */
const codePoints = (text: string): number => [...text.normalize('NFC')].length;

/** Hashing replaces a lone surrogate by U+FFFD, so different passwords would be equal. */
const isWellFormed = (text: string): boolean => text.isWellFormed();

const isShortEnough = (text: string): boolean =>
  text.length <= MAX_PASSWORD_UNITS && codePoints(text) <= MAX_PASSWORD_CODE_POINTS;

/** A new password. The minimum length is configurable. */
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
      description:
        'Characters of any kind, counted as composed (NFC). Length is what makes it strong.',
      examples: [EXAMPLE_PASSWORD],
      format: 'password',
      minLength,
      maxLength: MAX_PASSWORD_CODE_POINTS,
    });

/** An existing password: only its length is limited. */
export const knownPassword = z
  .string()
  .min(1, 'must not be empty')
  .max(MAX_LOGIN_PASSWORD_LENGTH, `must be at most ${MAX_LOGIN_PASSWORD_LENGTH} characters`)
  .refine(isWellFormed, 'must be well-formed Unicode')
  .meta({ format: 'password', examples: [EXAMPLE_PASSWORD] });
