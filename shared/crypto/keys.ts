import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** Each purpose has keys of its own. */
export type KeyPurpose =
  | 'access-token'
  | 'refresh-token'
  | 'confirmation'
  | 'cursor'
  | 'throttle'
  | 'console-form';

/** A derived key and its public id, which a token carries to name the key that signed it. */
export interface NamedKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** The keys of one purpose: `current` signs, all of them verify. */
export interface KeyRing {
  readonly current: NamedKey;
  readonly all: readonly NamedKey[];
}

export interface Secrets {
  readonly current: string;
  readonly previous: readonly string[];
}

/**
 * Derives the keys of one purpose from the configured secrets (HKDF-SHA-256, RFC 5869; the purpose is the `info`).
 * Deterministic: every process with the same secrets has the same keys and ids.
 */
export function deriveKeyRing(secrets: Secrets, purpose: KeyPurpose): KeyRing {
  const current = deriveKey(secrets.current, purpose);
  return {
    current,
    all: [current, ...secrets.previous.map((secret) => deriveKey(secret, purpose))],
  };
}

function deriveKey(secret: string, purpose: KeyPurpose): NamedKey {
  const bytes = Buffer.from(hkdfSync('sha256', secret, '', `rollcall/${purpose}/v1`, 32));
  const id = createHash('sha256').update('key-id').update(bytes).digest('hex').slice(0, 12);
  return { id, key: createSecretKey(bytes) };
}
