import { adjacencyGraphs } from '@zxcvbn-ts/language-common';

const MIN_RUN_LENGTH = 3;

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
 * True when a text is made of nothing but runs: the same character, the next one in the alphabet, or the next key in
 * one direction, three times or more: `abcdef123456`, `qwertyuiop`, `1qaz2wsx3edc`. The text is in lower case.
 */
export function isSequence(text: string): boolean {
  const points = [...text];
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

/** The steps of all keyboards, by the two keys. */
const keySteps = readKeySteps();

function readKeySteps(): ReadonlyMap<string, readonly string[]> {
  const steps = new Map<string, string[]>();
  for (const name of ['qwerty', 'qwertz', 'azerty'] as const) {
    for (const [key, neighbours] of Object.entries(adjacencyGraphs[name])) {
      neighbours.forEach((neighbour, direction) => {
        for (const other of neighbour ?? '') {
          const pair = `${key}${other}`;
          steps.set(pair, [...(steps.get(pair) ?? []), `${name} ${direction}`]);
        }
      });
    }
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
