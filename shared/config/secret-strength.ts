import { createHash } from 'node:crypto';
import { publishedSecrets } from './published-secrets.js';

const MIN_SECRET_BYTES = 32;
const MIN_DISTINCT_CHARACTERS = 10;
/** Shannon entropy of the character frequencies: 32 random hexadecimal digits have about 115 bits. */
const MIN_ENTROPY_BITS = 90;
/** 16 random hexadecimal digits reach this share about once in a million times. */
const MAX_PREDICTABLE_SHARE = 0.75;
/** The longest text between two copies of a phrase. */
const MAX_SEPARATOR = 3;
/**
 * Placeholders that people forget to replace: a secret that contains one is refused, however long. Each is so long that
 * hardly one random key in a million contains it.
 */
const PLACEHOLDERS =
  /change.?me|jwt.?secret|secret.?key|(?:very|super|ultra).?(?:long|secret|secure|strong)|(?:128|256|384|512).?bit|(?:32|64).?(?:byte|char)|\d\d[-_ ](?:byte|char)|at.?least|long.?enough|signing.?(key|token)|password|passphrase|example|default|placeholder|your.?(own|key|secret|pepper)|replace.?(me|this)|insecure|dummy|development|production|tests.own|correct.?horse|quick.?brown/i;
/** Words whose digests people use as secrets because they look random. */
const COMMON_WORDS = [
  ...['password', 'passw0rd', 'password1', 'password123', 'secret', 'secretkey', 'secret_key'],
  ...['secret-key', 'supersecret', 'super-secret', 'topsecret', 'my-secret', 'mysecret', 'jwt'],
  ...['jwtsecret', 'changeme', 'change-me', 'change_me', 'admin', 'administrator', 'root', 'user'],
  ...['test', 'testing', 'default', 'example', 'demo', 'dev', 'development', 'production', 'prod'],
  ...['pepper', 'salt', 'key', 'token', 'letmein', 'welcome', 'qwerty', 'abc', 'abc123', 'foo'],
  ...['bar', 'foobar', 'hello', 'hello world', 'helloworld', '123', '1234', '12345', '123456'],
  ...['12345678', '123456789', '1234567890', '0', '1', 'a', 'rollcall', ''],
];
const DIGESTS = ['md5', 'sha1', 'sha256', 'sha384', 'sha512'];
/** In hexadecimal: of each word, also in upper case, capitalized, and with a newline as `echo` prints it. */
const commonDigests: ReadonlySet<string> = new Set(
  COMMON_WORDS.flatMap((word) => [
    word,
    `${word}\n`,
    word.toUpperCase(),
    word.slice(0, 1).toUpperCase() + word.slice(1),
  ]).flatMap((text) => DIGESTS.map((name) => createHash(name).update(text).digest('hex'))),
);
/** Sequences that patterns follow: the alphabet, and a keyboard's rows and columns. */
const SEQUENCES = [
  '0123456789abcdefghijklmnopqrstuvwxyz',
  '1234567890qwertyuiopasdfghjklzxcvbnm',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p',
];

/** Why a secret is too weak to be key material, or `undefined`. The text reveals no part of it. */
export function weaknessOf(secret: string): string | undefined {
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES)
    return `is shorter than ${MIN_SECRET_BYTES} bytes`;
  const decoded = decodedFrom(secret);
  if ([secret, ...decoded.map((bytes) => bytes.toString('latin1'))].some(isPlaceholder))
    return 'is a well-known placeholder, not a secret';
  if (decoded.some((bytes) => commonDigests.has(bytes.toString('hex'))))
    return 'is the digest of a common word';
  if (isPublished(secret)) return 'is published with the source code';
  if (new Set(secret).size < MIN_DISTINCT_CHARACTERS || entropyBits(secret) < MIN_ENTROPY_BITS)
    return 'repeats too few characters to be random';
  if (isPredictable(secret)) return 'follows a pattern';
  return undefined;
}

const isPlaceholder = (text: string): boolean => PLACEHOLDERS.test(text);

/** The bytes of a secret that is written in hexadecimal or base64, of either alphabet. */
function decodedFrom(secret: string): Buffer[] {
  const text = secret.trim();
  return [
    ...(/^(?:[\da-f]{2})+$/i.test(text) ? [Buffer.from(text, 'hex')] : []),
    ...(/^[\w+/-]+=*$/.test(text) ? [Buffer.from(text, 'base64')] : []),
  ];
}

const isPublished = (secret: string): boolean => publishedSecrets.has(fingerprintOf(secret));

/** The form in which {@link publishedSecrets} lists a secret. */
export const fingerprintOf = (secret: string): string =>
  createHash('sha256').update(secret).digest('hex').slice(0, 32);

function entropyBits(secret: string): number {
  const counts = new Map<string, number>();
  for (const character of secret) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits += count * Math.log2(secret.length / count);
  return bits;
}

/**
 * True when most characters equal, or are next in a sequence to, the one a fixed distance before (`abab…`, `0123…`,
 * `qwer…`), or differ from it by the same step.
 */
function isPredictable(secret: string): boolean {
  const characters = [...secret.toLowerCase()];
  return SEQUENCES.some((sequence) => {
    // A character outside of the sequence is the neighbour of itself only.
    const places = characters.map(
      (character) => sequence.indexOf(character) + 1 || 2 * (character.codePointAt(0) ?? 0) + 1_000,
    );
    for (let lag = 1; lag <= (places.length + MAX_SEPARATOR) / 2; lag += 1) {
      const steps = places.slice(lag).map((place, i) => place - (places[i] ?? 0));
      const neighbours = steps.filter((step) => Math.abs(step) <= 1).length;
      if (Math.max(neighbours, mostFrequent(steps)) >= MAX_PREDICTABLE_SHARE * steps.length)
        return true;
    }
    return false;
  });
}

function mostFrequent(numbers: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return Math.max(...counts.values());
}
