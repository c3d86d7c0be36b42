import { adjacencyGraphs, once } from './common-passwords.js';

const MIN_RUN_LENGTH = 3;
/** Longer than for straight runs: a walk that turns has more variants. */
const MIN_WALK_LENGTH = 6;
/** How many interleaved sequences are recognised. */
const MAX_STRANDS = 4;
const MIN_STRAND_LENGTH = 3;

/** The shortest unit that a text repeats, the last time perhaps cut off: `abc` of `abcabcab`. */
export function repeatedUnit(text: string): string | undefined {
  const points = [...text];
  for (let unit = 1; unit <= points.length / 2; unit += 1) {
    if (points.every((point, i) => i < unit || point === points[i - unit]))
      return points.slice(0, unit).join('');
  }
  return undefined;
}

/**
 * True for sequences and keyboard walks: runs (`abcdef123456`, `1qaz2wsx3edc`), a walk along neighbouring keys
 * (`qawsedrftgyh`), up to four interleaved sequences (`1q2w3e4r`, `a1b2c3d4`, `aabbcc`), consecutive numbers
 * (`1011121314`), or the digits of a constant (`314159265`). The text is in lower case; the work grows with the square of its length.
 */
export function isSequentialOrWalk(text: string): boolean {
  const points = [...text];
  return (
    isSequence(points) ||
    isWalk(points) ||
    isSequence(points.filter((point, i) => point !== points[i - 1])) ||
    isInterleaved(points) ||
    isCounting(text) ||
    isConstant(text)
  );
}

/** True when a text consists of runs: the same character, the next one in the alphabet, or the next key. */
function isSequence(points: readonly string[]): boolean {
  const isInRun = points.map(() => false);
  let lengths = new Map<string, number>();
  points.forEach((point, i) => {
    const steps = stepsBetween(points[i - 1] ?? '', point);
    lengths = new Map(steps.map((step) => [step, (lengths.get(step) ?? 1) + 1]));
    if (Math.max(...lengths.values()) >= MIN_RUN_LENGTH)
      isInRun.fill(true, i - MIN_RUN_LENGTH + 1, i + 1);
  });
  return points.length > 0 && isInRun.every((isIt) => isIt);
}

/** True when each key is next to the previous one, on one keyboard. */
const isWalk = (points: readonly string[]): boolean =>
  points.length >= MIN_WALK_LENGTH &&
  KEYBOARDS.some((keyboard) =>
    points.every(
      (point, i) =>
        i === 0 ||
        point === points[i - 1] ||
        keySteps()
          .get(`${points[i - 1]}${point}`)
          ?.some((step) => step.startsWith(keyboard)),
    ),
  );

/** True when the characters of two to four sequences alternate, or those of a sequence of letters and one of digits. */
function isInterleaved(points: readonly string[]): boolean {
  const digits = points.filter((point) => /\p{N}/u.test(point));
  const others = points.filter((point) => !/\p{N}/u.test(point));
  const byPlace = Array.from({ length: MAX_STRANDS - 1 }, (_, more) =>
    Array.from({ length: more + 2 }, (__, place) =>
      points.filter((___, i) => i % (more + 2) === place),
    ),
  );
  return [[digits, others], ...byPlace].some((strands) =>
    strands.every((strand) => strand.length >= MIN_STRAND_LENGTH && isSequence(strand)),
  );
}

/** The digits of π, e and √2, of which a password may be a part. */
const CONSTANTS = [
  '314159 265358 979323 846264 338327 950288 419716 939937 510582 097494 459230 781640 628620 899862 803482 534211 706798',
  '271828 182845 904523 536028 747135 266249 775724 709369 995957 496696 762772 407663 035354 759457 138217 852516 642742',
  '141421 356237 309504 880168 872420 969807 856967 187537 694807 317667 973799 073247 846210 703885 038753 432764 157273',
].map((digits) => digits.replaceAll(' ', ''));

/** True for the first digits of a well-known constant, the last one perhaps rounded. */
const isConstant = (text: string): boolean =>
  /^\d{6,}$/.test(text) && CONSTANTS.some((digits) => digits.startsWith(text.slice(0, -1)));

/** True for consecutive numbers, up or down, the last one perhaps cut off: `2023202420252026`. */
function isCounting(text: string): boolean {
  if (!/^\d{6,}$/.test(text)) return false;
  return [1, 2, 3, 4].some((digits) =>
    [1, -1].some((step) => {
      let counted = '';
      let number = Number(text.slice(0, digits));
      for (; counted.length < text.length && number >= 0; number += step) counted += number;
      return counted.slice(0, text.length) === text;
    }),
  );
}

/** None begins like another. */
const COUNTING_WORDS = [
  'zero one two three four five six seven eight nine ten eleven twelve',
  'monday tuesday wednesday thursday friday saturday sunday',
  'january february march april may june july august september october november december',
  'spring summer autumn winter north south east west',
].flatMap((words) => words.split(' '));

/** True for numbers, days, months and the like, one after another: `onetwothreefour`. */
export function isCountedInWords(text: string): boolean {
  let rest = text;
  while (rest !== '') {
    const word = COUNTING_WORDS.find((each) => rest.startsWith(each));
    if (word === undefined) return false;
    rest = rest.slice(word.length);
  }
  return text !== '';
}

const DIGITS = /\d{5,}/g;
const REPEATED_DIGIT = /(\d)\1{3,}/g;

/** Without digits in sequence and repeated digits: `Aa` of `Aa1234567890`. */
export const withoutRuns = (text: string): string =>
  text
    .replaceAll(DIGITS, (digits) => (isSequentialOrWalk(digits) ? '' : digits))
    .replaceAll(REPEATED_DIGIT, '');

const SHIFTED_DIGITS = ')!@#$%^&*(';

/** With digits instead of what their keys give with shift on a US keyboard: `12345` for `!@#$%`. */
export const withoutShift = (text: string): string =>
  [...text]
    .map((point) => {
      const digit = SHIFTED_DIGITS.indexOf(point);
      return digit < 0 ? point : String(digit);
    })
    .join('');

/** Common substitutes for letters. `1`, `!` and `|` stand for two letters each, see {@link I_OR_L}. */
const SUBSTITUTES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    a: '4@',
    b: '8',
    c: '(',
    e: '3',
    g: '69',
    o: '0',
    s: '5$',
    t: '7+',
    z: '2',
  }).flatMap(([letter, signs]) => [...signs].map((sign) => [sign, letter] as const)),
);
const I_OR_L = /[1!|]/g;
/** How many signs behind the last letter may belong to the word: `dav1d3`. */
const MAX_SIGNS_AT_END = 2;

const isLetter = (point: string): boolean => /\p{L}/u.test(point);

/** The words that a text may be a spelling of, without the digits and signs around them: `password` for `P@ssw0rd123!`. */
export function withoutSubstitutes(text: string): string[] {
  const points = [...text.normalize('NFKC').toLowerCase()];
  const first = points.findIndex(isLetter);
  const start = first < 0 ? points.length : first;
  const until = Math.max(start, points.findLastIndex(isLetter) + 1);
  const ahead = points.slice(0, start).join('');
  const middle = points.slice(start, until).join('');
  const behind = points.slice(until).join('');
  const kept = Array.from({ length: MAX_SIGNS_AT_END + 1 }, (_, n) => behind.slice(0, n));
  const words = kept.flatMap((end) => [`${middle}${end}`, `${ahead}${middle}${end}`]);
  return [...new Set(words)].flatMap((word) =>
    ['i', 'l'].map((letter) =>
      word
        .replaceAll(I_OR_L, letter)
        .replaceAll(/[^\p{L}]/gu, (sign) => SUBSTITUTES.get(sign) ?? sign),
    ),
  );
}

const KEYBOARDS = ['qwerty', 'qwertz', 'azerty'] as const;
/** The Cyrillic keyboard, which has no graph in the dictionary, by rows. */
const ROWS = ['йцукенгшщзхъ', 'фывапролджэ', 'ячсмитьбю'];

/** The steps of all keyboards, by pairs of keys. */
const keySteps = once(readKeySteps);

function readKeySteps(): ReadonlyMap<string, readonly string[]> {
  const steps = new Map<string, string[]>();
  const add = (one: string, other: string, step: string): void => {
    steps.set(`${one}${other}`, [...(steps.get(`${one}${other}`) ?? []), step]);
  };
  for (const name of [...KEYBOARDS, 'keypad'] as const) {
    for (const [key, neighbours] of Object.entries(adjacencyGraphs()[name])) {
      neighbours.forEach((neighbour, direction) => {
        for (const other of neighbour ?? '') add(key, other, `${name} ${direction}`);
      });
    }
  }
  for (const row of ROWS) {
    [...row].forEach((key, i) => {
      const next = row[i + 1];
      if (next === undefined) return;
      add(key, next, 'row 1');
      add(next, key, 'row -1');
    });
  }
  return steps;
}

/** The steps that lead from one character to another. */
function stepsBetween(one: string, other: string): string[] {
  const difference = (other.codePointAt(0) ?? 0) - (one.codePointAt(0) ?? 0);
  const steps = [...(keySteps().get(`${one}${other}`) ?? [])];
  if (Math.abs(difference) <= 1) steps.push(`alphabet ${difference}`);
  // On the keyboard and in counting, 0 follows 9.
  if (`${one}${other}` === '90') steps.push('alphabet 1');
  if (`${one}${other}` === '09') steps.push('alphabet -1');
  return steps;
}
