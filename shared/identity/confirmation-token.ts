import { createHmac } from 'node:crypto';
import { areEqualSecrets } from '../crypto/equal-secrets.js';
import type { KeyRing, NamedKey } from '../crypto/keys.js';

/** The data that a confirmation token authenticates. */
export interface ConfirmationFacts {
  readonly id: string;
  readonly purpose: string;
  readonly email: string;
  readonly nonce: Buffer;
}

const TOKEN = /^ct_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

/**
 * The token in a confirmation mail: the row's id and an HMAC over the facts. It is derived when the mail is sent and stored
 * nowhere, so neither the database nor the queue ever holds a usable link.
 */
export function deriveConfirmationToken(keys: KeyRing, facts: ConfirmationFacts): string {
  return `ct_${facts.id.replaceAll('-', '')}_${macOf(keys.current, facts)}`;
}

/** The row id in a token, or `undefined` if it is malformed. Does not verify the token. */
export function confirmationIdOf(token: string): string | undefined {
  const hex = TOKEN.exec(token)?.[1];
  return hex?.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

/** True when the token was derived from exactly these facts with one of the keys. Compares in constant time. */
export function isConfirmationToken(
  keys: KeyRing,
  facts: ConfirmationFacts,
  token: string,
): boolean {
  // Compared as text: decoding would ignore two bits of the last of the 43 characters.
  const claimed = TOKEN.exec(token)?.[2] ?? '';
  return keys.all.some((key) => areEqualSecrets(claimed, macOf(key, facts)));
}

function macOf({ key }: NamedKey, { id, purpose, email, nonce }: ConfirmationFacts): string {
  return createHmac('sha256', key)
    .update(JSON.stringify([id, purpose, email]))
    .update(nonce)
    .digest('base64url');
}
