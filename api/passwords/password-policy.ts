import { dictionary } from '@zxcvbn-ts/language-common';
import { product } from '../../shared/config/version.js';
import { AppError } from '../../shared/errors/app-error.js';
import { commonPhrases } from './common-phrases.js';
import { isTypedWithoutThought, repeatedUnit, withoutSubstitutes } from './password-patterns.js';

/** Whose password it is to be: what an attacker who knows them would try first. */
export interface PasswordOwner {
  readonly email: string;
  readonly name: string;
}

/** Most common first. */
const RANKED = dictionary['passwords-common'];
const COMMON = new Set([...RANKED, ...commonPhrases]);
/** Any three of these are fewer than two of all. */
const MOST_COMMON = new Set(RANKED.slice(0, 1_000));
const MIN_WORD_LENGTH = 3;
/** A word over and over is still a word, and fewer characters than it takes to make one are less. */
const MAX_UNIT_LENGTH = 4;
/** Digits around less than this are not padding: they are the password. */
const MIN_PADDED_LENGTH = 8;
/** A compatibility character may stand for eighteen others: so much of them is looked at. */
const MAX_LOOKED_AT = 256;
/** Digits between words that say nothing: a year, or one or two. */
const DIGITS_BETWEEN = /(?<!\d)(?:(?:19|20)\d\d|\d{1,2})(?!\d)/g;
const YEARS_AND_COUNTS = /(?:19|20)\d\d(?!\d)|(?<=\p{Ll})\d{1,2}(?=\p{Lu})/gu;

type IsKnown = (text: string) => boolean;

/**
 * Refuses passwords that are long without being strong: a phrase that many people use; one or two of the 49,000 most
 * common passwords, or of the owner's and the service's own words, or three of the first thousand, with digits around
 * and between them, spelt with signs, backwards, or none of that; a few characters or any of these over and over; and
 * what takes no more thought than where on the keyboard or in the alphabet to begin. Asks nobody but lists that ship
 * with the code (NIST SP 800-63B, 3.1.1.2: "blocklist"). The work is bounded by the length that passwords may have.
 * @throws {AppError} `password_too_common`.
 */
export function refuseCommonPassword(password: string, owner: PasswordOwner): void {
  const words = wordsOf(owner);
  const isKnown: IsKnown = (text) =>
    text.length >= MIN_WORD_LENGTH && (COMMON.has(text) || words.has(text));
  const unit = repeatedUnit(letters(password));
  const isEasy =
    isMadeOfWords(password, isKnown) ||
    (unit !== undefined && isMadeOfWords(unit, isKnown)) ||
    isTyped(password);
  if (!isEasy) return;
  const detail =
    'is too easy to guess: choose something that is not made of common words or your own data';
  throw new AppError('password_too_common', { fields: [{ pointer: '#/password', detail }] });
}

/** True when a text is one or two known words, or three of the best known, however they are spelt and padded. */
function isMadeOfWords(text: string, isKnown: IsKnown): boolean {
  const plain = letters(text);
  const spelt = [text, text.replace(YEARS_AND_COUNTS, '')].flatMap(withoutSubstitutes).map(letters);
  const forms = new Set([
    plain,
    unpadded(plain),
    plain.replace(DIGITS_BETWEEN, ''),
    reversed(unpadded(plain)),
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

/** True when a text is typed along the keys or the alphabet, or is a few characters over and over. */
function isTyped(password: string): boolean {
  const text = letters(password);
  const core = unpadded(text);
  const forms = core.length >= MIN_PADDED_LENGTH ? [text, core] : [text];
  const hasShortUnit = (form: string): boolean => {
    const unit = repeatedUnit(form);
    return unit !== undefined && [...unit].length <= MAX_UNIT_LENGTH;
  };
  return (
    forms.some((form) => hasShortUnit(form) || isTypedWithoutThought(form)) ||
    hasShortUnit(withoutPictures(password))
  );
}

/** True when the text is two known words in a row. */
function isTwo(text: string, isKnown: IsKnown): boolean {
  for (let at = MIN_WORD_LENGTH; at <= text.length - MIN_WORD_LENGTH; at += 1) {
    if (isKnown(text.slice(0, at)) && isKnown(text.slice(at))) return true;
  }
  return false;
}

/** True when the text is three of the best known words in a row. */
function isThree(text: string): boolean {
  for (let at = MIN_WORD_LENGTH; at <= text.length - 2 * MIN_WORD_LENGTH; at += 1) {
    if (
      MOST_COMMON.has(text.slice(0, at)) &&
      isTwo(text.slice(at), (word) => MOST_COMMON.has(word))
    )
      return true;
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

/** What is left of a text when case, accents' spelling, spaces and punctuation don't count. */
const letters = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]/gu, '')
    .slice(0, MAX_LOOKED_AT);

/** Without the digits ahead and behind. */
const unpadded = (text: string): string =>
  text.replaceAll(/\d+/g, (digits, at: number) =>
    at === 0 || at + digits.length === text.length ? '' : digits,
  );

const reversed = (text: string): string => [...text].toReversed().join('');

/** A picture is chosen from thousands, a sign from the few on the keys. */
const withoutPictures = (text: string): string =>
  text.toLowerCase().replace(/\p{Extended_Pictographic}|\p{Regional_Indicator}/gu, '');
