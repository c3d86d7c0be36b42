import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { fingerprintOf, weaknessOf } from '../../shared/config/secret-strength.js';

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
const TOKEN = /(?<![\w@/+-]|sha\d{3}[:-])[\w+=-]{32,}(?![\w/+])/g;

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
  for (const [token, file] of tokens)
    t.not(
      weaknessOf(token),
      undefined,
      `${file} holds "${token.slice(0, 6)}…": make it at run time, or add '${fingerprintOf(token)}' to shared/config/published-secrets.ts`,
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
    ['deadbeef'.repeat(5), /repeats/],
    [`${'a'.repeat(40)}bcdefghij`, /repeats/],
    ['a pepper that only development has', /placeholder/],
    ['replace-me-0b9d1c1e-6b0f-4d56-9a35', /placeholder/],
    ['correct horse battery staple, and more', /placeholder/],
    ['my-super-secret-value-k3j9x2m4v7q1', /placeholder/],
    ['jwt signing key k3j9x2m4v7q1 z8w5t6', /placeholder/],
    ['The quick brown fox jumps over the lazy dog', /placeholder/],
    ['rollcall-production-k3j9x2m4v7q1z8', /placeholder/],
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
  for (let i = 0; i < 500; i++) {
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
