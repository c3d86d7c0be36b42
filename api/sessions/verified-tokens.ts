import { hash } from 'node:crypto';
import type { VerifiedClaims } from './access-tokens.js';

/** Access tokens whose signature and claims have been verified. What they say is fixed; whether the session lives is not. */
export interface VerifiedTokens {
  /** The claims of a token that has been verified and has not expired since. */
  find(token: string): VerifiedClaims | undefined;
  add(token: string, claims: VerifiedClaims): void;
}

/** About 300 bytes each. */
const MAX_TOKENS = 10_000;

/** Remembers tokens by their digest, so that none of them is kept; the oldest makes room for the newest. */
export function createVerifiedTokens(maxTokens = MAX_TOKENS): VerifiedTokens {
  const verified = new Map<string, VerifiedClaims>();
  return {
    find(token) {
      const digest = digestOf(token);
      const claims = verified.get(digest);
      if (!claims || claims.expiresAtMs > Date.now()) return claims;
      verified.delete(digest);
      return undefined;
    },
    add(token, claims) {
      const [oldest] = verified.keys();
      if (verified.size >= maxTokens && oldest !== undefined) verified.delete(oldest);
      verified.set(digestOf(token), claims);
    },
  };
}

const digestOf = (token: string): string => hash('sha256', token, 'base64');
