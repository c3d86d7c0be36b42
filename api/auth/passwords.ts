import { createHash, createHmac, hkdfSync } from 'node:crypto';
import bcrypt from 'bcrypt';

/** How passwords are hashed; see `docs/adr/0009-password-hashes.md`. */
export interface PasswordConfig {
  readonly pepper: string;
  readonly previousPeppers: readonly string[];
  /** bcrypt's work factor. */
  readonly cost: number;
}

/** Hashes and compares passwords. */
export interface Passwords {
  /** A hash to store; takes as long as a compare. */
  hash(password: string): Promise<string>;
  /** Compares; without a stored hash it does the same work and resolves to `false`. */
  verify(password: string, stored: string | undefined): Promise<boolean>;
}

interface Pepper {
  readonly id: string;
  readonly key: Buffer;
}

const STORED = /^v1\$(p\d+)\$(\$2b\$\d\d\$[./A-Za-z0-9]{53})$/;

/**
 * `v1$<pepper id>$<bcrypt>` over bcrypt(base64(HMAC-SHA-384(pepper, "pw/v1" NUL NFC(password)))). The HMAC takes
 * passwords of any length past bcrypt's 72 bytes, and makes a stolen table worthless without the pepper
 * (OWASP Password Storage Cheat Sheet, "Peppering" and "Input limits of bcrypt").
 */
export async function createPasswords(config: PasswordConfig): Promise<Passwords> {
  const [current, ...previous] = [config.pepper, ...config.previousPeppers].map(derivePepper);
  if (!current) throw new Error('There is always a pepper');
  const peppers = new Map([current, ...previous].map((pepper) => [pepper.id, pepper]));

  const hash = async (password: string): Promise<string> =>
    `v1$${current.id}$${await bcrypt.hash(condense(current, password), config.cost)}`;

  /** What a compare for an unknown address is made against, so that it costs what any other costs. */
  const decoy = await hash('nobody has this password');

  return {
    hash,
    async verify(password, stored) {
      const known = read(peppers, stored);
      const { pepper, digest } = known ?? read(peppers, decoy) ?? { pepper: current, digest: '' };
      const matches = await bcrypt.compare(condense(pepper, password), digest);
      return matches && known !== undefined;
    },
  };
}

function read(peppers: ReadonlyMap<string, Pepper>, stored: string | undefined) {
  const [, pepperId, digest] = STORED.exec(stored ?? '') ?? [];
  const pepper = peppers.get(pepperId ?? '');
  return pepper && digest !== undefined ? { pepper, digest } : undefined;
}

/** 64 ASCII characters: bcrypt reads all of them. */
function condense({ key }: Pepper, password: string): string {
  return createHmac('sha384', key)
    .update('pw/v1\0')
    .update(password.normalize('NFC'))
    .digest('base64');
}

function derivePepper(secret: string): Pepper {
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'rollcall/password-pepper/v1', 48));
  return {
    id: `p${createHash('sha256').update('pepper-id').update(key).digest().readUInt32BE()}`,
    key,
  };
}
