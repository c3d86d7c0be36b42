import { holdsEncodedWord } from './email-address.js';

/** Bounds of a name in code points, of its stored form. */
export const nameLength = { min: 1, max: 100 } as const;

/** A name as it is stored, or what is wrong with it, as a predicate: "must not be blank". */
export type NameReading = { readonly name: string } | { readonly fault: string };

/** A composed code point may come decomposed, as up to four of two units each; blanks around a name are not counted. */
const MAX_UNITS_SENT = 1_000;
/** So many units around an invisible character decide on it: a letter with its marks. */
const CONTEXT = 16;
const TOO_LONG = `must be at most ${nameLength.max} characters`;
const NOT_PRINTABLE =
  'must hold visible characters and spaces only: no control, formatting, private-use or unassigned characters';

/** Spaces, and what shows as one in Braille, music and hieroglyphs. */
const BLANKS = /[\p{Zs}\u2800\u{1d159}\u{13441}\u{13442}]+/gu;
/** Other than in the contexts of {@link isNeeded}. The last ones annotate text or stand in for what was lost. */
const FORBIDDEN = /[\p{C}\p{Zl}\p{Zp}\ufff9-\ufffd]/u;
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

/**
 * Reads the name of a person. It may hold what FreeformClass of RFC 8264 allows: letters, marks, digits, punctuation,
 * symbols and spaces of every script. Invisible characters stay where a script or an emoji needs them. Elsewhere those
 * that format text are refused (joiners, zero-width spaces, soft hyphens, bidirectional controls) and those that do
 * nothing at all are left out. Any run of blanks is one space, and none is at the ends (RFC 8266, section 2.1). The
 * result is in NFC, of {@link nameLength} code points.
 */
export function readPersonName(text: string): NameReading {
  if (text.length > MAX_UNITS_SENT) return { fault: TOO_LONG };
  let isPrintable = true;
  const shown = text
    .trim()
    .normalize('NFC')
    .replace(INVISIBLE, (sign, at: number, whole: string) => {
      const end = at + sign.length;
      const [before, after] = [
        whole.slice(Math.max(0, at - CONTEXT), at),
        whole.slice(end, end + CONTEXT),
      ];
      if (isNeeded(sign, before, after)) return sign;
      if (FORBIDDEN.test(sign)) isPrintable = false;
      return '';
    });
  const name = shown.normalize('NFC').replace(BLANKS, ' ').trim();
  const rest = name.replace(INVISIBLE, '');
  if (!isPrintable || FORBIDDEN.test(rest)) return { fault: NOT_PRINTABLE };
  if (!VISIBLE.test(rest)) return { fault: 'must not be blank' };
  // Mail programs would show another name than the one that is stored.
  if (holdsEncodedWord(name)) return { fault: 'must not hold an encoded word (=?…?=)' };
  if (/^\p{M}/u.test(rest)) return { fault: 'must not begin with a combining mark' };
  return [...name].length > nameLength.max ? { fault: TOO_LONG } : { name };
}

/**
 * The form in which two admins' names are compared: NFKC_Casefold of Unicode (section 5.18 and UAX #44), so full case
 * folding, one width, no invisible characters; blanks as {@link readPersonName} leaves them. Accents count. Beyond
 * Unicode's folding, the four letters i (dotted, dotless, capital or not) are one: which is another one's capital
 * depends on the language, and a name does not tell its language. Never empty for a name that was read; its own
 * canonical form.
 */
export function canonicalName(name: string): string {
  const folded = [...name.normalize('NFKD').replace(IGNORABLE, '')].map(foldCase).join('');
  return withoutDots(folded).normalize('NFKC').replace(BLANKS, ' ').trim();
}

/** A letter that has a dot of its own shows no second one. */
const withoutDots = (text: string): string =>
  text.replaceAll(/\p{Soft_Dotted}\p{M}+/gu, (letter) => letter.replaceAll('\u0307', ''));

/** Scripts with letters that cannot be told from each other's. */
const LOOK_ALIKES = [
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
 * True when one word of the name mixes scripts that look alike, as in `Тess` with a Cyrillic T (after UTS #39,
 * "Moderately Restrictive"). Words of different scripts beside each other are no mixture.
 */
export const mixesScripts = (name: string): boolean =>
  name
    .split(/[^\p{L}\p{M}\p{N}'’ʼ.·]+/u)
    .some((word) => LOOK_ALIKES.filter((script) => script.test(word)).length > 1);

/** A flag of a part of a country, whose tags mean something as a whole only, or any one invisible character. */
const INVISIBLE =
  /\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{3,6}\u{e007f}|\p{Default_Ignorable_Code_Point}/gu;
/** The last two show as nothing without being of that kind: a Khitan filler, and selectors of Duployan. */
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\u{16fe4}\u{1bc9d}\u{1bc9e}]/gu;

const LETTER_AT_END = /\p{L}\p{M}*$/u;
/** A letter of a script that joins its letters: there a non-joiner parts what would be joined. */
const CURSIVE_AT_END =
  /(?=\p{L})[\p{sc=Arab}\p{sc=Syrc}\p{sc=Mand}\p{sc=Mong}\p{sc=Nkoo}\p{sc=Adlm}\p{sc=Rohg}]\p{M}*$/u;
const CURSIVE_AT_START =
  /^(?=\p{L})[\p{sc=Arab}\p{sc=Syrc}\p{sc=Mand}\p{sc=Mong}\p{sc=Nkoo}\p{sc=Adlm}\p{sc=Rohg}]/u;
const EMOJI_AT_END = /\p{Extended_Pictographic}(?:\ufe0f|\p{Emoji_Modifier})?$/u;

/** True when an invisible character changes how the text around it is read. */
function isNeeded(sign: string, before: string, after: string): boolean {
  if (sign === '\u200c' || sign === '\u200d') return isJoining(sign, before, after);
  // Text or emoji presentation; the variant of a Han character that a family writes; a Mongolian letter's form.
  if (/^[\ufe0e\ufe0f]$/.test(sign))
    return /\p{Extended_Pictographic}$/u.test(before) || isKeycap(before, after);
  if (/^[\ufe00-\ufe02\u{e0100}-\u{e01ef}]$/u.test(sign)) return /\p{Script=Han}$/u.test(before);
  if (/^[\u180b-\u180f]$/.test(sign)) return /(?=\p{L})\p{Script=Mongolian}$/u.test(before);
  return sign.startsWith('\u{1f3f4}');
}

/**
 * True for a joiner that a script needs: after a virama (RFC 5892, A.1 and A.2) or before it, as Bengali and Kannada
 * write RA; a non-joiner between letters of a cursive script; a joiner within an emoji (UTS #51).
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
 * True for a mark of combining class 9, the viramas. Regular expressions know no combining classes, but normalization
 * sorts by them: such a mark goes behind one of class 8 and ahead of one of class 10.
 */
const isVirama = (mark: string): boolean =>
  /^(?![\u3099\u05b0])\p{M}$/u.test(mark) &&
  `${mark}\u3099`.normalize('NFD') === `\u3099${mark}` &&
  `\u05b0${mark}`.normalize('NFD') === `${mark}\u05b0`;

/**
 * Folds one code point as Unicode's CaseFolding does (statuses C and F), Cherokee apart, whose capitals become small
 * here and the small ones capitals there, and the dotless i, which becomes i.
 */
const foldCase = (character: string): string => character.toLowerCase().toUpperCase().toLowerCase();
