import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { availableParallelism } from 'node:os';
import bcrypt from 'bcrypt';
import { createMetrics, type Metrics } from '../../shared/metrics/metrics.js';
import {
  createHashLimiter,
  hashConcurrency,
  type HashClient,
  type HashLimiter,
} from './hash-limiter.js';

/** How passwords are hashed; see `docs/adr/0009-password-hashes.md`. */
export interface PasswordConfig {
  readonly pepper: string;
  readonly previousPeppers: readonly string[];
  /** bcrypt's work factor. */
  readonly cost: number;
  /** Size of libuv's pool, which hashes share with file system and DNS calls. */
  readonly threads: number;
}

/**
 * Hashes and compares passwords, a few at a time; throws `overloaded` when too many wait. Each request passes its `client`
 * once: to `reserve`, or to its only call of `hash` or `verify`.
 */
export interface Passwords extends Pick<HashLimiter, 'requireRoom'> {
  /** Runs work that will need a hash, if there is capacity: a request that will be rejected should not cost look-ups. */
  reserve<T>(work: () => Promise<T>, client?: HashClient): Promise<T>;
  /** A hash to store; takes as long as `verify`. */
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
  /** True for a hash with another pepper or work factor than the current ones: to be rehashed at the next login. */
  isOutdated(stored: string): boolean;
}

interface Pepper {
  readonly id: string;
  readonly key: Buffer;
}

/** A hash is timed with this work factor at most: a few milliseconds, so that an API starts without delay. */
const MAX_TIMED_COST = 6;
/** Characters of a bcrypt digest behind its salt. */
const DIGEST_LENGTH = 31;
const STORED = /^v1\$(p\d+)\$(\$2b\$\d\d\$[./A-Za-z0-9]{53})$/;

/**
 * `v1$<pepper id>$<bcrypt>` over bcrypt(base64(HMAC-SHA-384(pepper, "pw/v1" NUL NFC(password)))). The HMAC supports
 * passwords longer than bcrypt's 72 bytes, and makes a stolen table worthless without the pepper
 * (OWASP Password Storage Cheat Sheet, "Peppering" and "Input limits of bcrypt").
 */
export async function createPasswords(
  config: PasswordConfig,
  metrics: Metrics = createMetrics('api'),
): Promise<Passwords> {
  const { cost } = config;
  const [current, ...previous] = [config.pepper, ...config.previousPeppers].map(derivePepper);
  if (!current) throw new Error('There is always a pepper');
  const peppers = new Map([current, ...previous].map((pepper) => [pepper.id, pepper]));
  const hash = (password: string): Promise<string> => hashPassword(current, password, cost);
  const decoy = decoyHash(current, cost);
  const hashMs = await estimateHashMs(cost);
  const concurrency = hashConcurrency({ cores: availableParallelism(), threads: config.threads });
  const limiter = createHashLimiter({ hashMs, concurrency });
  collectHashes(metrics, limiter, concurrency);
  const run = <T>(work: () => Promise<T>): Promise<T> => limiter.run(() => timed(metrics, work));
  const reservedFor = <T>(client: HashClient | undefined, work: () => Promise<T>): Promise<T> =>
    client ? limiter.reserve(work, client) : work();

  return {
    requireRoom: limiter.requireRoom,
    reserve: limiter.reserve,
    hash: (password, client) => reservedFor(client, () => run(() => hash(password))),
    verify(password, find, client) {
      return reservedFor(client, async () => {
        // Before it takes a slot: a slow database must not block other hashes.
        const owner = await find();
        const stored = readHash(peppers, owner?.passwordHash);
        const { pepper, digest } = stored ??
          readHash(peppers, decoy) ?? { pepper: current, digest: '' };
        const matches = await run(() => compare(condense(pepper, password), digest, cost));
        return matches && stored && owner ? owner : undefined;
      });
    },
    isOutdated(passwordHash) {
      const stored = readHash(peppers, passwordHash);
      return stored?.pepper !== current || bcrypt.getRounds(stored.digest) !== cost;
    },
  };
}

function collectHashes(metrics: Metrics, limiter: HashLimiter, slots: number): void {
  metrics.collect(
    [
      'rollcall_password_hashes',
      'rollcall_password_hash_slots',
      'rollcall_password_hash_rejections_total',
    ],
    () => {
      const { running, waiting, refused } = limiter.load();
      return {
        rollcall_password_hashes: [
          { labels: { state: 'running' }, value: running },
          { labels: { state: 'waiting' }, value: waiting },
        ],
        rollcall_password_hash_slots: [{ value: slots }],
        rollcall_password_hash_rejections_total: [{ value: refused }],
      };
    },
  );
}

async function timed<T>(metrics: Metrics, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const result = await work();
  metrics.observe('rollcall_password_hash_seconds', (performance.now() - startedAt) / 1_000);
  return result;
}

async function hashPassword(pepper: Pepper, password: string, cost: number): Promise<string> {
  return `v1$${pepper.id}$${await bcrypt.hash(condense(pepper, password), cost)}`;
}

/**
 * Takes as long as a hash with the given cost, also for a stored hash with a lower one: otherwise, after the cost was
 * raised, a fast response would reveal that an account exists. 2^cost rounds are 2^stored + 2^stored + ... + 2^(cost-1).
 */
async function compare(input: string, digest: string, cost: number): Promise<boolean> {
  const matches = await bcrypt.compare(input, digest);
  for (let missing = bcrypt.getRounds(digest); missing < cost; missing += 1)
    await bcrypt.hash(input, missing);
  return matches;
}

/**
 * What is compared for an unknown address, so that it takes as long as a known one: a real salt, and a digest of no
 * password. bcrypt does the whole work before it looks at the digest.
 */
function decoyHash(pepper: Pepper, cost: number): string {
  return `v1$${pepper.id}$${bcrypt.genSaltSync(cost)}${'.'.repeat(DIGEST_LENGTH)}`;
}

/**
 * How long a hash takes on this machine: each step of the work factor doubles it, so a cheaper one is timed. The fastest
 * of a few runs, since the others include the load of starting up.
 */
async function estimateHashMs(cost: number): Promise<number> {
  const timedCost = Math.min(cost, MAX_TIMED_COST);
  let leastMs = Infinity;
  for (let sample = 0; sample < 3; sample += 1) {
    const startedAt = performance.now();
    await bcrypt.hash('how long does it take?', timedCost);
    leastMs = Math.min(leastMs, performance.now() - startedAt);
  }
  return leastMs * 2 ** (cost - timedCost);
}

function readHash(peppers: ReadonlyMap<string, Pepper>, stored: string | undefined) {
  const [, pepperId, digest] = STORED.exec(stored ?? '') ?? [];
  const pepper = peppers.get(pepperId ?? '');
  return pepper && digest !== undefined ? { pepper, digest } : undefined;
}

/** 64 ASCII characters, within bcrypt's limit of 72. */
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
