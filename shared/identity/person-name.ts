import { holdsEncodedWord } from './email-address.js';

/** Length limits of a stored name in code points. */
export const nameLength = { min: 1, max: 100 } as const;

/** A valid name as stored, or what is wrong with it: "must not be blank". */
export type NameReading = { readonly name: string } | { readonly fault: string };

/** In UTF-16 units: a code point may be decomposed into up to four of two units each, and blanks may surround the name. */
const MAX_INPUT_UNITS = 1_000;
/** UTF-16 units before and after an invisible character that are looked at: a letter with its marks. */
const CONTEXT_UNITS = 16;
const TOO_LONG = `must be at most ${nameLength.max} characters`;
const NOT_PRINTABLE =
  'must hold visible characters and spaces only: no control, formatting, private-use or unassigned characters';

/** Spaces, and the characters of Braille, music and hieroglyphs that look like one. */
const BLANKS = /[\p{Zs}\u2800\u{1d159}\u{13441}\u{13442}]+/gu;
/** Unless {@link isNeeded}. The last range annotates text or replaces unknown characters. */
const FORBIDDEN = /[\p{C}\p{Zl}\p{Zp}\ufff9-\ufffd]/u;
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/**
 * Validates and normalizes the name of a person. It may contain what FreeformClass of RFC 8264 allows: letters, marks,
 * digits, punctuation, symbols and spaces of every script. Invisible characters are kept where a script or an emoji needs
 * them. Elsewhere formatting characters are refused (joiners, zero-width spaces, soft hyphens, bidirectional controls) and
 * those without any effect are removed. Blanks are collapsed and trimmed (RFC 8266, section 2.1). The result is in NFC,
 * within {@link nameLength}.
 */
export function readPersonName(text: string): NameReading {
  if (text.length > MAX_INPUT_UNITS) return { fault: TOO_LONG };
  let isPrintable = true;
  const shown = text
    .trim()
    .normalize('NFC')
    .replace(INVISIBLE, (sign, at: number, whole: string) => {
      const end = at + sign.length;
      const [before, after] = [
        whole.slice(Math.max(0, at - CONTEXT_UNITS), at),
        whole.slice(end, end + CONTEXT_UNITS),
      ];
      if (isNeeded(sign, before, after)) return sign;
      if (FORBIDDEN.test(sign)) isPrintable = false;
      return '';
    });
  const name = shown.normalize('NFC').replace(BLANKS, ' ').trim();
  const rest = withoutInvisible(name);
  if (!isPrintable || FORBIDDEN.test(rest)) return { fault: NOT_PRINTABLE };
  if (!VISIBLE.test(rest)) return { fault: 'must not be blank' };
  // Mail clients would display something other than what is stored.
  if (holdsEncodedWord(name)) return { fault: 'must not hold an encoded word (=?…?=)' };
  if (/^\p{M}/u.test(rest)) return { fault: 'must not begin with a combining mark' };
  return [...name].length > nameLength.max ? { fault: TOO_LONG } : { name };
}

/** True when something of a text can be seen: a letter, a digit, punctuation or a symbol. */
export const isVisible = (text: string): boolean =>
  VISIBLE.test(withoutInvisible(text).replace(BLANKS, ' '));

/** Of the flag of a subdivision the flag itself is visible. */
const withoutInvisible = (text: string): string =>
  text.replace(INVISIBLE, (sign) => (sign.startsWith(FLAG) ? FLAG : ''));

/**
 * The form in which admins' names are compared: Unicode's NFKC_Casefold (section 5.18 and UAX #44), that is full case
 * folding, one width, no invisible characters; blanks as {@link readPersonName} leaves them. Accents are significant. In
 * addition the four letters i (dotted, dotless, upper, lower) are equal: which pairs with which depends on the language,
 * which a name does not reveal. Never empty for a valid name; idempotent.
 */
export function canonicalName(name: string): string {
  const folded = [...name.normalize('NFKD').replace(IGNORABLE, '')].map(foldCase).join('');
  return withoutDots(folded).normalize('NFKC').replace(BLANKS, ' ').trim();
}

/** A soft-dotted letter (i, j) displays no additional dot. */
const withoutDots = (text: string): string =>
  text.replaceAll(/\p{Soft_Dotted}\p{M}+/gu, (letter) => letter.replaceAll('\u0307', ''));

/** Scripts with confusable letters. */
const CONFUSABLE_SCRIPTS = [
  /\p{Script=Latin}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
  /\p{Script=Coptic}/u,
  /\p{Script=Lisu}/u,
  /\p{Script=Deseret}/u,
  /\p{Script=Osage}/u,
  /\p{Script=Canadian_Aboriginal}/u,
  /\p{Script=Tifinagh}/u,
  /\p{Script=Old_Italic}/u,
  /\p{Script=Gothic}/u,
];

/**
 * True when a single word mixes confusable scripts, as in `Тess` with a Cyrillic T (after UTS #39, "Moderately
 * Restrictive"). Words of different scripts may stand side by side.
 */
export const mixesScripts = (name: string): boolean =>
  name
    .split(/[^\p{L}\p{M}\p{N}'’ʼ.·]+/u)
    .some((word) => CONFUSABLE_SCRIPTS.filter((script) => script.test(word)).length > 1);

const FLAG = '\u{1f3f4}';
/** The emoji flag of a subdivision, whose tag sequence is one unit, or any single invisible character. */
const INVISIBLE =
  /\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{3,6}\u{e007f}|\p{Default_Ignorable_Code_Point}/gu;
/** The last three are invisible without having the property: a Khitan filler and Duployan controls. */
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\u{16fe4}\u{1bc9d}\u{1bc9e}]/gu;

const LETTER_AT_END = /\p{L}\p{M}*$/u;
/** A letter of a cursive script, where a non-joiner separates letters that would be joined. */
const CURSIVE_AT_END =
  /(?=\p{L})[\p{sc=Adlm}\p{sc=Arab}\p{sc=Mand}\p{sc=Mani}\p{sc=Mong}\p{sc=Nkoo}\p{sc=Phag}\p{sc=Phlp}\p{sc=Rohg}\p{sc=Sogd}\p{sc=Syrc}]\p{M}*$/u;
const CURSIVE_AT_START =
  /^(?=\p{L})[\p{sc=Adlm}\p{sc=Arab}\p{sc=Mand}\p{sc=Mani}\p{sc=Mong}\p{sc=Nkoo}\p{sc=Phag}\p{sc=Phlp}\p{sc=Rohg}\p{sc=Sogd}\p{sc=Syrc}]/u;
const EMOJI_AT_END = /\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier})?$/u;

/** True when an invisible character affects how the surrounding text is displayed. */
function isNeeded(sign: string, before: string, after: string): boolean {
  if (sign === '\u200c' || sign === '\u200d') return isJoining(sign, before, after);
  // Selectors of text or emoji presentation, of variants of Han characters, of Mongolian letter forms.
  if (/^[\ufe0e\ufe0f]$/.test(sign))
    return /\p{Extended_Pictographic}$/u.test(before) || isKeycap(before, after);
  if (/^[\ufe00-\ufe02\u{e0100}-\u{e01ef}]$/u.test(sign)) return /\p{Script=Han}$/u.test(before);
  if (/^[\u180b-\u180f]$/.test(sign)) return /(?=\p{L})\p{Script=Mongolian}$/u.test(before);
  return sign.startsWith(FLAG);
}

/**
 * True for a joiner that the script needs: after a virama (RFC 5892, A.1 and A.2), before one as in Bengali and Kannada RA,
 * a non-joiner between letters of a cursive script, or a joiner within an emoji (UTS #51).
 */
function isJoining(joiner: string, before: string, after: string): boolean {
  const [next = ''] = after;
  if (isVirama([...before].at(-1) ?? '')) return true;
  if (isVirama(next)) return LETTER_AT_END.test(before);
  return joiner === '\u200d'
    ? EMOJI_AT_END.test(before) && /\p{Extended_Pictographic}/u.test(next)
    : CURSIVE_AT_END.test(before) && CURSIVE_AT_START.test(after);
}

const isKeycap = (before: string, after: string): boolean =>
  /[0-9#*]$/.test(before) && after.startsWith('\u20e3');

/**
 * True for a mark of combining class 9, the viramas. Regular expressions cannot test combining classes, but normalization
 * sorts by them: such a mark is sorted after one of class 8 and before one of class 10.
 */
const isVirama = (mark: string): boolean =>
  /^(?![\u3099\u05b0])\p{M}$/u.test(mark) &&
  `${mark}\u3099`.normalize('NFD') === `\u3099${mark}` &&
  `\u05b0${mark}`.normalize('NFD') === `${mark}\u05b0`;

/**
 * Folds one code point as Unicode's CaseFolding does (statuses C and F), with two exceptions: Cherokee folds to lower case
 * instead of upper case, and the dotless i folds to i.
 */
const foldCase = (character: string): string => character.toLowerCase().toUpperCase().toLowerCase();
