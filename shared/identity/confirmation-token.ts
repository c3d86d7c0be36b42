import { createHmac } from 'node:crypto';
import { areEqualSecrets } from '../crypto/equal-secrets.js';
import type { KeyRing, NamedKey } from '../crypto/keys.js';

/** The facts that a confirmation link vouches for. */
export interface ConfirmationFacts {
  readonly id: string;
  readonly purpose: string;
  readonly email: string;
  readonly nonce: Buffer;
}

const TOKEN = /^ct_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/**
 * The token that a confirmation mail carries: the row's id and an HMAC over all that it vouches for. It is derived when
 * the mail is sent and stored nowhere, so neither the database nor the queue ever holds a usable link.
 */
export function mintConfirmationToken(keys: KeyRing, facts: ConfirmationFacts): string {
  return `ct_${facts.id.replaceAll('-', '')}_${seal(keys.current, facts)}`;
}

/** The id of the row that a token speaks of, or `undefined` if it cannot be a token. Says nothing of its truth. */
export function confirmationIdOf(token: string): string | undefined {
  const hex = TOKEN.exec(token)?.[1];
  return hex?.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** True when the token was minted from exactly these facts with one of the keys. Takes constant time. */
export function isConfirmationToken(
  keys: KeyRing,
  facts: ConfirmationFacts,
  token: string,
): boolean {
  // Compared as texts: the last of 43 characters has two bits that decoding would drop.
  const claimed = TOKEN.exec(token)?.[2] ?? '';
  return keys.all.some((key) => areEqualSecrets(claimed, seal(key, facts)));
}

function seal({ key }: NamedKey, { id, purpose, email, nonce }: ConfirmationFacts): string {
  return createHmac('sha256', key)
    .update(JSON.stringify([id, purpose, email]))
    .update(nonce)
    .digest('base64url');
}
