import { createHash, createSecretKey, hkdfSync, type KeyObject } from 'node:crypto';

/** What a key is for. One purpose's key never serves another. */
export type KeyPurpose = 'access-token' | 'refresh-token' | 'confirmation' | 'cursor' | 'throttle';

/** A derived key and the short public name by which a token says which key signed it. */
export interface NamedKey {
  readonly id: string;
  readonly key: KeyObject;
}

/** The keys of one purpose: `current` signs, all of them verify. */
export interface KeyRing {
  readonly current: NamedKey;
  readonly all: readonly NamedKey[];
}

/** The secrets that keys are derived from, as the configuration gives them. */
export interface Secrets {
  readonly current: string;
  readonly previous: readonly string[];
}

/**
 * Derives the keys of one purpose from the configured secrets (HKDF-SHA-256, RFC 5869; the purpose is the `info`).
 * The same secrets give the same keys and ids in every process, so nothing has to be shared but the secrets.
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
