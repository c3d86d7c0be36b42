import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { patternOf } from '../../api/http/documented-paths.js';
import { readDocument } from '../helpers/openapi.js';
import { compare } from '../../bench/timing/statistics.js';
import { fingerprintOf, weaknessOf } from '../../shared/config/secret-strength.js';
import { findExpressions, slowness } from './regular-expressions.js';

/** What runs as a service, or reads what one has written. */
const folders = ['api', 'workers', 'shared', 'migrations', 'cli', 'dev/emulators/firehose'];
const expressions = findExpressions(folders);

test('S81 no text makes any regular expression slow, wherever it stands', async (t) => {
  const { files, literals } = await expressions;
  t.true(files > 150 && literals.length > 70, `${literals.length} in ${files} files`);
  const distinct = new Map(literals.map((each) => [`/${each.source}/${each.flags}`, each]));
  for (const { file, source, flags } of distinct.values())
    t.is(await slowness({ source, flags }), undefined, `${file}: /${source}/${flags}`);
});

test('S81 no regular expression is made of a text but those of the documented paths', async (t) => {
  const { builtIn } = await expressions;
  t.deepEqual(builtIn, ['api/http/documented-paths.ts']);
  const templates = Object.keys(readDocument().paths);
  t.true(templates.length > 10);
  for (const template of templates) t.is(await slowness(patternOf(template)), undefined, template);
});

test('S81 one that can be made slow is expressions, whether it backtracks or only begins again', async (t) => {
  for (const expression of [
    /^(?:a+)+$/,
    /^(?:a|aa)+$/,
    /\s+$/,
    /[\w.-]+@[\w.-]+/g,
    /eyJ[\w-]+\.[\w-]+\.[\w-]+/g,
    /(?:a{1,200}b?)+c/,
    /(?<![b-z])[a-z]+@/u,
  ])
    t.regex((await slowness(expression)) ?? '', /polynomial|exponential/, String(expression));
});

test('S81 one that cannot be read counts as slow', async (t) => {
  t.regex((await slowness({ source: String.raw`[\p{L}--[a-z]]x`, flags: 'v' })) ?? '', /not dec/);
});

const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

test('the area under the curve is the share of pairs in which the first is greater', (t) => {
  t.is(compare([4, 5, 6], [1, 2, 3]).auc, 1);
  t.is(compare([1, 2, 3], [4, 5, 6]).auc, 0);
  t.is(compare([1, 4], [2, 3]).auc, 0.5);
  t.is(compare([3, 1, 5], [2, 4, 0]).auc, 6 / 9);
  t.is(compare([10], [1, 2, 3, 20]).auc, 3 / 4, 'samples need not be of one size');
});

test('equal values count by half', (t) => {
  t.is(compare([7, 7, 7], [7, 7]).auc, 0.5);
  t.is(compare([1, 2], [1, 2]).auc, 0.5);
  t.is(compare([2, 3], [1, 2]).auc, 3.5 / 4);
});

test('it agrees with counting every pair', (t) => {
  const first = numbers(0, 99).map((n) => (n * 37) % 50);
  const second = numbers(0, 79).map((n) => (n * 29) % 41);
  let wins = 0;
  for (const a of first) for (const b of second) wins += a > b ? 1 : a === b ? 0.5 : 0;
  t.is(compare(first, second).auc, wins / (first.length * second.length));
  t.true(Math.abs(compare(second, first).auc + compare(first, second).auc - 1) < 1e-12);
});

test('a difference that the medians hide shows in the area', (t) => {
  const first = [...numbers(1, 50), 100, ...numbers(200, 249)];
  const second = [...numbers(51, 99), 100, 100, ...numbers(101, 150)];
  const { auc, medians } = compare(first, second.slice(0, 101));
  t.deepEqual(medians, [100, 100]);
  t.true(auc > 0.4 && auc < 0.6);
  t.true(compare([...numbers(90, 99), 100, ...numbers(200, 209)], numbers(80, 120)).auc > 0.6);
});

test('medians are those of the sorted values, and an empty sample has none', (t) => {
  t.deepEqual(compare([9, 1, 5], [4, 1, 3, 2]).medians, [5, 2.5]);
  t.throws(() => compare([], [1]), { instanceOf: RangeError });
  t.throws(() => compare([1], []), { instanceOf: RangeError });
});

/** Where people look for a value to copy, and where tests and tools keep theirs. */
const FOLDERS = [
  ...['api', 'cli', 'dev', 'docs', 'migrations', 'shared', 'test', 'workers', '.github'],
];
const isText = (name: string): boolean => /\.(?:md|ya?ml|json|[cm]?[jt]s|example)$/.test(name);
/** Made elsewhere: checksums, and the values that the list itself holds. */
const NO_SECRETS = [
  'package-lock.json',
  'api/openapi/openapi.json',
  'shared/config/published-secrets.ts',
];
/** Long enough, and of characters that a generated secret has. */
const TOKEN = /(?<![\w@/+-]|sha\d{3}[:-])(?!sha\d{3}[:-])[\w+=-]{32,}(?![\w/+])/g;

/** Hexadecimal, or of all kinds of characters. */
const looksGenerated = (token: string): boolean =>
  /^[0-9a-f]+$/i.test(token) ||
  [/[a-z]/, /[A-Z]/, /\d/].every((kind) => kind.test(token.replace(/^\w+=/, '')));

async function publishedTokens(): Promise<Map<string, string>> {
  const nested = await Promise.all(
    FOLDERS.map(async (folder) =>
      (await readdir(folder, { recursive: true })).map((name) => join(folder, name)),
    ),
  );
  const files = [...(await readdir('.')), ...nested.flat()];
  const found = new Map<string, string>();
  for (const file of files.filter((name) => isText(name) || name.startsWith('Dockerfile'))) {
    if (NO_SECRETS.includes(file)) continue;
    for (const [token] of (await readFile(file, 'utf8')).matchAll(TOKEN))
      if (looksGenerated(token)) found.set(token.replace(/^[A-Z_]+=/, ''), file);
  }
  return found;
}

test('S78 nothing in this repository passes for a secret in production', async (t) => {
  const tokens = await publishedTokens();
  const strong = [...tokens]
    .filter(([token]) => weaknessOf(token) === undefined)
    .map(([token, file]) => `${file} holds "${token.slice(0, 6)}…": ${fingerprintOf(token)}`);
  t.deepEqual(
    strong,
    [],
    'make them at run time, or add them to shared/config/published-secrets.ts',
  );
  t.true(tokens.size > 5, 'it has looked');
});

const encoded = (text: string, encoding: BufferEncoding): string =>
  Buffer.from(text).toString(encoding);
const digest = (name: string, word: string, encoding: BufferEncoding): string =>
  createHash(name).update(word).digest().toString(encoding);

test('S78 what has a pattern is no secret, however long', (t) => {
  for (const [secret, weakness] of [
    ['0123456789'.repeat(4), /pattern/],
    ['9876543210'.repeat(4), /pattern/],
    ['abcdefghijklmnopqrstuvwxyz0123456789', /pattern/],
    ['AbCdEfGhIjKlMnOpQrStUvWxYz0123456789', /pattern/],
    ['qwertyuiopasdfghjklzxcvbnm1234567890', /pattern/],
    ['1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p', /pattern/],
    ['0123456789abcdef0123456789abcdef', /pattern/],
    ['00112233445566778899aabbccddeeff', /pattern/],
    ['0f1e2d3c4b5a69788796a5b4c3d2e1f0', /pattern/],
    ['000102030405060708090a0b0c0d0e0f10111213', /pattern/],
    ['13579acegikmoqsuwy02468bdfhjlnprtvxz', /pattern/],
    ['A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6', /pattern/],
    ['x9Kq2mVd7Rt4x9Kq2mVd7Rt4x9Kq2mVd7Rt4', /pattern/],
    ['k3j9x2m4v7q1z8w5 k3j9x2m4v7q1z8w5', /pattern/],
    ['k3j9x2m4v7q1z8w5 - k3j9x2m4v7q1z8w5', /pattern/],
    ['min-no-of-letters/min-no-of-letters', /pattern/],
    ['deadbeef'.repeat(5), /repeats/],
    [`${'a'.repeat(40)}bcdefghij`, /repeats/],
    ['a pepper that only development has', /placeholder/],
    ['replace-me-0b9d1c1e-6b0f-4d56-9a35', /placeholder/],
    ['correct horse battery staple, and more', /placeholder/],
    ['my-super-secret-value-k3j9x2m4v7q1', /placeholder/],
    ['jwt signing key k3j9x2m4v7q1 z8w5t6', /placeholder/],
    ['The quick brown fox jumps over the lazy dog', /placeholder/],
    ['rollcall-production-k3j9x2m4v7q1z8', /placeholder/],
    ['your-256-bit-secret-your-256-bit-secret', /placeholder/],
    ['a-string-secret-at-least-256-bits-long', /placeholder/],
    ['your-512-bit-secret-for-jwt-signing-hs512', /placeholder/],
    ['my-32-character-ultra-secure-and-ultra-long-secret', /placeholder/],
    ['jwt-secret-at-least-32-characters-long', /placeholder/],
    ['thisisaverylongsecretforjwtsigning', /placeholder/],
    ['min-32-char-secret-min-32-char-secret', /placeholder/],
    ['minimum 40 characters, of which I know', /placeholder/],
    ['some words that are long enough 4 HS256', /placeholder/],
    [encoded('please change me before long 1492', 'base64'), /placeholder/],
    [encoded('please change me before long 1492', 'base64url'), /placeholder/],
    [encoded('this-is-a-secret-key-of-mine', 'hex'), /placeholder/],
    [digest('md5', 'password', 'hex'), /digest/],
    [digest('md5', 'password', 'hex').toUpperCase(), /digest/],
    [digest('sha1', 'secret', 'hex'), /digest/],
    [digest('sha256', 'changeme\n', 'hex'), /digest/],
    [digest('sha256', 'Admin', 'base64'), /digest/],
    [digest('sha512', 'rollcall', 'base64url'), /digest/],
  ] as const)
    t.regex(weaknessOf(secret) ?? '', weakness, secret);
});

test('S78 what is random is a secret, in whatever form', (t) => {
  for (let i = 0; i < 2_000; i++) {
    const bytes = createHash('sha256').update(`random enough, ${i}`).digest();
    for (const secret of [
      bytes.toString('hex'),
      bytes.subarray(16).toString('hex'),
      bytes.toString('base64'),
      bytes.subarray(8).toString('base64url'),
      Array.from(bytes, (byte) => byte.toString(36)).join('-'),
    ])
      t.is(weaknessOf(secret), undefined, secret);
  }
});
