import { product } from '../../shared/config/version.js';
import { AppError } from '../../shared/errors/app-error.js';
import { commonPasswords, mostCommonPasswords } from './common-passwords.js';
import {
  isCountedInWords,
  isSequentialOrWalk,
  repeatedUnit,
  withoutRuns,
  withoutShift,
  withoutSubstitutes,
} from './password-patterns.js';

/** Data of the owner that an attacker would try first. */
export interface PasswordOwner {
  readonly email: string;
  readonly name: string;
}

const MIN_WORD_LENGTH = 3;
/** A repeated unit of up to this length is as easy to guess as a word. */
const MAX_UNIT_LENGTH = 4;
/** There are about as many texts of eight digits, such as dates, as of four characters. */
const MAX_DIGITS_IN_UNIT = 8;
/** Digits around a shorter text are not padding, but the larger part of the password. */
const MIN_PADDED_LENGTH = 8;
/** What is left without digits in sequence must be as long as a short password. */
const MIN_LENGTH_WITHOUT_RUNS = 8;
/** NFKC may expand one character to eighteen, so the normalised text is cut to this length. */
const MAX_NORMALISED_LENGTH = 256;
/** Digits between words that add little: a year, or one or two digits. */
const DIGITS_BETWEEN = /(?<!\d)(?:(?:19|20)\d\d|\d{1,2})(?!\d)/g;
const YEARS_AND_COUNTS = /(?:19|20)\d\d(?!\d)|(?<=\p{Ll})\d{1,2}(?=\p{Lu})/gu;

type IsKnown = (text: string) => boolean;

/**
 * Rejects long passwords that are easy to guess: common phrases; one or two of the 49,000 most common passwords, or of the
 * words of the owner's data and the service's name, or three of the thousand most common passwords, also with digits
 * around or between them, with substituted signs, or backwards; repetitions of any of these, of a few characters or of a
 * date in digits; keyboard walks and sequences, also with a few characters beside them. Uses only lists that ship with
 * the code (NIST SP 800-63B, 3.1.1.2: "blocklist"). The work is bounded by the maximum length of passwords.
 * @throws {AppError} `password_too_common`.
 */
export function refuseCommonPassword(password: string, owner: PasswordOwner): void {
  const words = wordsOf(owner);
  const isKnown: IsKnown = (text) =>
    text.length >= MIN_WORD_LENGTH && (commonPasswords().has(text) || words.has(text));
  const units = [letters(password), password.toLowerCase()].map(repeatedUnit);
  const isEasy =
    [password, ...units].some((text) => text !== undefined && consistsOfWords(text, isKnown)) ||
    isPattern(password);
  if (!isEasy) return;
  const detail =
    'is too easy to guess: choose something that is not made of common words or your own data';
  throw new AppError('password_too_common', { fields: [{ pointer: '#/password', detail }] });
}

/** True when a text is one or two known words, or three of the most common ones, in any spelling and padding. */
function consistsOfWords(text: string, isKnown: IsKnown): boolean {
  const plain = letters(text);
  const spelt = [text, text.replace(YEARS_AND_COUNTS, '')].flatMap(withoutSubstitutes).map(letters);
  const forms = new Set([
    plain,
    unpadded(plain),
    plain.replace(DIGITS_BETWEEN, ''),
    reversed(unpadded(plain)),
    unpadded(withoutAccents(plain)),
    ...spelt,
  ]);
  return [...forms].some((form) => {
    const unit = repeatedUnit(form);
    return (
      isKnown(form) ||
      (unit !== undefined && isKnown(unit)) ||
      isTwo(form, isKnown) ||
      isThree(form)
    );
  });
}

/** True when a text is a keyboard walk or a sequence, or repeats a few characters or a date in digits. */
function isPattern(password: string): boolean {
  const text = letters(password);
  const core = unpadded(text);
  const forms = [text, letters(withoutShift(password))];
  if (core.length >= MIN_PADDED_LENGTH) forms.push(core);
  const hasShortUnit = (form: string): boolean => {
    const unit = repeatedUnit(form);
    if (unit === undefined) return false;
    return [...unit].length <= (/^\d+$/.test(unit) ? MAX_DIGITS_IN_UNIT : MAX_UNIT_LENGTH);
  };
  return (
    forms.some((form) => hasShortUnit(form) || isSequentialOrWalk(form)) ||
    isCountedInWords(text) ||
    isMostlyRuns(text) ||
    hasShortUnit(withoutEmoji(password))
  );
}

/** True when few characters are left without digits in sequence. */
function isMostlyRuns(text: string): boolean {
  const rest = withoutRuns(text);
  return rest !== text && [...rest].length < MIN_LENGTH_WITHOUT_RUNS;
}

/** True when the text is two known words. */
function isTwo(text: string, isKnown: IsKnown): boolean {
  for (let at = MIN_WORD_LENGTH; at <= text.length - MIN_WORD_LENGTH; at += 1) {
    if (isKnown(text.slice(0, at)) && isKnown(text.slice(at))) return true;
  }
  return false;
}

/** True when the text is three of the most common words. */
function isThree(text: string): boolean {
  const isMostCommon: IsKnown = (word) => mostCommonPasswords().has(word);
  for (let at = MIN_WORD_LENGTH; at <= text.length - 2 * MIN_WORD_LENGTH; at += 1) {
    if (isMostCommon(text.slice(0, at)) && isTwo(text.slice(at), isMostCommon)) return true;
  }
  return false;
}

function wordsOf({ email, name }: PasswordOwner): Set<string> {
  const [local = '', domain = ''] = email.split('@');
  const parts = [
    email,
    local,
    domain,
    name,
    product.name,
    ...local.split(/[.+_-]/),
    ...domain.split('.'),
    ...name.split(/\s+/),
  ];
  return new Set(parts.map(letters));
}

/** The letters and digits of a text, normalised and in lower case. */
const letters = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, '')
    .slice(0, MAX_NORMALISED_LENGTH);

const withoutAccents = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '');

/** Without leading and trailing digits. */
const unpadded = (text: string): string =>
  text.replaceAll(/\d+/g, (digits, at: number) =>
    at === 0 || at + digits.length === text.length ? '' : digits,
  );

const reversed = (text: string): string => [...text].toReversed().join('');

/** Emoji are kept out of this check: there are thousands of them, but few signs on a keyboard. */
const withoutEmoji = (text: string): string =>
  text.toLowerCase().replace(/\p{Extended_Pictographic}|\p{Regional_Indicator}/gu, '');
