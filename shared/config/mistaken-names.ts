import type { Environment } from './reader.js';
import { variableNames } from './variables.js';

/** Shorter names, such as PATH and USER, are near some other name by chance. */
const MIN_LENGTH = 6;

/**
 * Variables that are set and read by nothing, but whose name is almost one of ours, as `OPERATOR_EMAIL (OPERATOR_EMAILS?)`:
 * what they were to set keeps its default. Names only, never values.
 */
export function findMistakenNames(env: Environment): string[] {
  const known: readonly string[] = variableNames;
  return Object.keys(env)
    .filter((name) => env[name] && !known.includes(name) && name.length >= MIN_LENGTH)
    .flatMap((name) => {
      const meant = known.find((each) => isNearly(name.toUpperCase(), each));
      return meant === undefined ? [] : [`${name} (${meant}?)`];
    });
}

/** A singular, a plural, a beginning of more than one word, or one typing error. */
const isNearly = (name: string, known: string): boolean =>
  (name.includes('_') && known.startsWith(name)) ||
  name.replace(/IES$/, 'Y') === known ||
  differsByOne(name, known);

/** Whether one character was added, left out or changed, or two neighbours were exchanged. */
function differsByOne(one: string, other: string): boolean {
  const shorter = Math.min(one.length, other.length);
  let start = 0;
  while (start < shorter && one[start] === other[start]) start += 1;
  let end = 0;
  while (end < shorter - start && one.at(-1 - end) === other.at(-1 - end)) end += 1;
  const [left, right] = [
    one.slice(start, one.length - end),
    other.slice(start, other.length - end),
  ];
  return left.length <= 1
    ? right.length <= 1
    : left.length === 2 && right === `${left[1]}${left[0]}`;
}
