import { timingSafeEqual } from 'node:crypto';

/**
 * Compares a secret with what somebody claims it to be, in a time that says nothing of where they differ. That their
 * lengths differ is told at once: those are no secret. Every such compare goes through here.
 */
export function areEqualSecrets(claimed: string | Buffer, actual: string | Buffer): boolean {
  const [a, b] = [Buffer.from(claimed), Buffer.from(actual)];
  return a.length === b.length && timingSafeEqual(a, b);
}
