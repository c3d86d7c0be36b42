import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import { createHashLimiter, hashConcurrency, type HashClient } from './hash-limiter.js';

/** How passwords are hashed; see `docs/adr/0009-password-hashes.md`. */
export interface PasswordConfig {
  readonly pepper: string;
  readonly previousPeppers: readonly string[];
  /** bcrypt's work factor. */
  readonly cost: number;
  /** Of libuv's pool, which hashes share with files and look-ups of names. */
  readonly threads: number;
}

/**
 * Hashes and compares passwords, a few at a time; when too many wait, each call throws `overloaded`. Whoever asks is
 * given as `client`, once for a request: to `reserve`, or to the one hash or compare that the request is about.
 */
export interface Passwords {
  /** Runs work that will come to a hash, if there is a place for it: a full queue is not worth a look-up. */
  reserve<T>(work: () => Promise<T>, client?: HashClient): Promise<T>;
  /** A hash to store; takes as long as a compare. */
  hash(password: string, client?: HashClient): Promise<string>;
  /**
   * Finds the owner and resolves to it if the password is its own. Without an owner it does the same work and resolves
   * to `undefined`.
   */
  verify<T extends { passwordHash: string }>(
    password: string,
    find: () => Promise<T | null>,
    client?: HashClient,
  ): Promise<T | undefined>;
  /** True for a hash made with another pepper or work factor than new ones are: to be renewed at the next login. */
  isOutdated(stored: string): boolean;
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
  const hashMs = await measureMs(() => hash('how long does it take?'));
  const concurrency = hashConcurrency({ cores: availableParallelism(), threads: config.threads });
  const limiter = createHashLimiter({ hashMs, concurrency });

  const reservedFor = <T>(client: HashClient | undefined, work: () => Promise<T>): Promise<T> =>
    client ? limiter.reserve(work, client) : work();

  return {
    reserve: limiter.reserve,
    hash: (password, client) => reservedFor(client, () => limiter.run(() => hash(password))),
    verify(password, find, client) {
      return reservedFor(client, async () => {
        // Looked up before its turn comes: a database that hangs shall not hold up the others.
        const owner = await find();
        const known = read(peppers, owner?.passwordHash);
        const { pepper, digest } = known ?? read(peppers, decoy) ?? { pepper: current, digest: '' };
        const matches = await limiter.run(() =>
          compare(condense(pepper, password), digest, config.cost),
        );
        return matches && known && owner ? owner : undefined;
      });
    },
    isOutdated(stored) {
      const known = read(peppers, stored);
      return known?.pepper !== current || bcrypt.getRounds(known.digest) !== config.cost;
    },
  };
}

/**
 * Compares in the time that a hash of the given cost takes, also with a cheaper one: otherwise, after the cost was
 * raised, a quick answer would tell that there is an account. 2^cost rounds are 2^stored + 2^stored + ... + 2^(cost-1).
 */
async function compare(input: string, digest: string, cost: number): Promise<boolean> {
  const matches = await bcrypt.compare(input, digest);
  for (let missing = bcrypt.getRounds(digest); missing < cost; missing += 1)
    await bcrypt.hash(input, missing);
  return matches;
}

/** The least of a few: what a hash takes, not what a busy start adds to it. */
async function measureMs(work: () => Promise<unknown>): Promise<number> {
  let least = Infinity;
  for (let sample = 0; sample < 3; sample += 1) {
    const startedAt = performance.now();
    await work();
    least = Math.min(least, performance.now() - startedAt);
  }
  return least;
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
