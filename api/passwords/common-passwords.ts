import { createRequire } from 'node:module';
import type * as LanguageCommon from '@zxcvbn-ts/language-common';
import { commonPhrases } from './common-phrases.js';

/**
 * The 49,000 most common passwords and the keyboards' graphs, decompressed at the first password that is chosen: an API
 * starts faster without them, and takes less memory.
 */
const words = once(() => {
  const load = createRequire(import.meta.url);
  return load('@zxcvbn-ts/language-common') as typeof LanguageCommon;
});

/** Sorted, the most common first. */
const ranked = (): readonly string[] => words().dictionary['passwords-common'];

/** Common passwords and phrases. */
export const commonPasswords = once(() => new Set([...ranked(), ...commonPhrases]));

/** There are fewer combinations of three of these than of two of all. */
export const mostCommonPasswords = once(() => new Set(ranked().slice(0, 1_000)));

/** The neighbours of each key of a keyboard. */
export const adjacencyGraphs = () => words().adjacencyGraphs;

/** Computes a value at the first call. */
export function once<T extends object>(compute: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= compute());
}
