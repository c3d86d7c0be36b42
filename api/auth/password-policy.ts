import { dictionary } from '@zxcvbn-ts/language-common';
import { product } from '../../shared/config/version.js';
import { AppError } from '../../shared/errors/app-error.js';
import { isSequence, repeatedUnit, withoutSubstitutes } from './password-patterns.js';

/** Whose password it is to be: what an attacker who knows them would try first. */
export interface PasswordOwner {
  readonly email: string;
  readonly name: string;
}

const COMMON = new Set(dictionary['passwords-common']);
const MIN_WORD_LENGTH = 3;
/** A word over and over is still a word, and fewer characters than it takes to make one are less. */
const MAX_UNIT_LENGTH = 4;
/** Digits around less than this are not padding: they are the password. */
const MIN_PADDED_LENGTH = 8;

/**
 * Refuses passwords that are long without being strong: one or two of the 49,000 most common passwords, or of the
 * owner's and the service's own words, padded with digits and spelt with signs or not; a few characters or a common word
 * over and over; and what a finger does that walks along the keys. Asks nobody but a list that ships with the code
 * (NIST SP 800-63B, 3.1.1.2: "blocklist"). The work is bounded by the length that passwords may have.
 * @throws {AppError} `password_too_common`.
 */
export function refuseCommonPassword(password: string, owner: PasswordOwner): void {
  const words = wordsOf(owner);
  const isKnown = (text: string): boolean =>
    text.length >= MIN_WORD_LENGTH && (COMMON.has(text) || words.has(text));
  const text = letters(password);
  const unpadded = text.replaceAll(/\d+/g, (digits, at: number) =>
    at === 0 || at + digits.length === text.length ? '' : digits,
  );
  const isRepeated = (form: string): boolean => {
    const unit = repeatedUnit(form);
    return unit !== undefined && ([...unit].length <= MAX_UNIT_LENGTH || isKnown(letters(unit)));
  };
  const forms = [text, unpadded, ...withoutSubstitutes(password).map(letters)];
  const isMadeOfWords = forms.some((form) => isKnown(form) || isTwo(form, isKnown));
  const isTyped = [text, ...(unpadded.length >= MIN_PADDED_LENGTH ? [unpadded] : [])].some(
    (form) => isRepeated(form) || isSequence(form),
  );
  if (!isMadeOfWords && !isTyped && !isRepeated(withoutPictures(password))) return;
  const detail =
    'is too easy to guess: choose something that is not made of common words or your own data';
  throw new AppError('password_too_common', { fields: [{ pointer: '#/password', detail }] });
}

/** True when the text is two known words in a row. */
function isTwo(text: string, isKnown: (word: string) => boolean): boolean {
  for (let at = MIN_WORD_LENGTH; at <= text.length - MIN_WORD_LENGTH; at += 1) {
    if (isKnown(text.slice(0, at)) && isKnown(text.slice(at))) return true;
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
    .replace(/[^\p{L}\p{N}]/gu, '');

/** A picture is chosen from thousands, a sign from the few on the keys. */
const withoutPictures = (text: string): string =>
  text.toLowerCase().replace(/\p{Extended_Pictographic}|\p{Regional_Indicator}/gu, '');
