import { adjacencyGraphs } from '@zxcvbn-ts/language-common';

const MIN_RUN_LENGTH = 3;
/** A walk along neighbouring keys that turns has more ways to go than one that goes straight. */
const MIN_WALK_LENGTH = 6;
/** Two hands, or three or four columns of digits that count. */
const MAX_STRANDS = 4;
const MIN_STRAND_LENGTH = 3;

/** What a text is made of when it is one thing over and over, the last time perhaps in part: `abc` of `abcabcab`. */
export function repeatedUnit(text: string): string | undefined {
  const points = [...text];
  for (let unit = 1; unit <= points.length / 2; unit += 1) {
    if (points.every((point, i) => i < unit || point === points[i - unit]))
      return points.slice(0, unit).join('');
  }
  return undefined;
}

/**
 * True when a text takes no more thought than where to begin: it is made of runs (`abcdef123456`, `1qaz2wsx3edc`), of
 * a walk along neighbouring keys (`qawsedrftgyh`), of up to four of these in turns (`1q2w3e4r`, `a1b2c3d4`, `aabbcc`), or
 * it counts (`1011121314`). The text is in lower case; the work grows with the square of its length.
 */
export function isTypedWithoutThought(text: string): boolean {
  const points = [...text];
  return (
    isSequence(points) ||
    isWalk(points) ||
    isSequence(points.filter((point, i) => point !== points[i - 1])) ||
    isBraid(points) ||
    isCounting(text)
  );
}

/** True when a text is made of nothing but runs: one character, the next one in the alphabet, or the next key. */
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

/** True when each key is a neighbour of the one before, on one keyboard. */
const isWalk = (points: readonly string[]): boolean =>
  points.length >= MIN_WALK_LENGTH &&
  KEYBOARDS.some((keyboard) =>
    points.every(
      (point, i) =>
        i === 0 ||
        point === points[i - 1] ||
        keySteps.get(`${points[i - 1]}${point}`)?.some((step) => step.startsWith(keyboard)),
    ),
  );

/** True when characters of two to four sequences, or of a sequence of letters and one of digits, take turns. */
function isBraid(points: readonly string[]): boolean {
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

/** True for numbers in a row, up or down, the last one perhaps in part: `2023202420252026`. */
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

/** What people write in place of letters, and expect nobody to think of. `1` and its like stand for two. */
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
/** So many of the signs behind the last letter may belong to the word: `dav1d3` with digits behind it. */
const MAX_SIGNS_AT_END = 2;

const isLetter = (point: string): boolean => /\p{L}/u.test(point);

/** The words that a text may stand for, without the digits and signs around them: `password` for `P@ssw0rd123!`. */
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
/** Whose keys have no graph in the dictionary: by rows. */
const ROWS = ['йцукенгшщзхъ', 'фывапролджэ', 'ячсмитьбю'];

/** The steps of all keyboards, by the two keys. */
const keySteps = readKeySteps();

function readKeySteps(): ReadonlyMap<string, readonly string[]> {
  const steps = new Map<string, string[]>();
  const add = (one: string, other: string, step: string): void => {
    steps.set(`${one}${other}`, [...(steps.get(`${one}${other}`) ?? []), step]);
  };
  for (const name of [...KEYBOARDS, 'keypad'] as const) {
    for (const [key, neighbours] of Object.entries(adjacencyGraphs[name])) {
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

/** The ways in which one character can be the next after another. */
function stepsBetween(one: string, other: string): string[] {
  const difference = (other.codePointAt(0) ?? 0) - (one.codePointAt(0) ?? 0);
  const steps = [...(keySteps.get(`${one}${other}`) ?? [])];
  if (Math.abs(difference) <= 1) steps.push(`alphabet ${difference}`);
  // After nine comes nought.
  if (`${one}${other}` === '90') steps.push('alphabet 1');
  if (`${one}${other}` === '09') steps.push('alphabet -1');
  return steps;
}
