import { timingSafeEqual } from 'node:crypto';

/**
 * Compares a claimed secret with the actual one in constant time. Lengths are not secret: different ones are unequal at once.
 * Every comparison of secrets goes through this file.
 */
export function areEqualSecrets(claimed: string | Buffer, actual: string | Buffer): boolean {
  const [a, b] = [Buffer.from(claimed), Buffer.from(actual)];
  return a.length === b.length && timingSafeEqual(a, b);
}
