import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';
import type { TestContext } from '../helpers/context.js';
import { dumpRedis } from '../helpers/redis.js';

/** Values that must turn up nowhere, by what they are. */
export interface Canaries {
  /** A new value, to be used as what the name says. */
  secret(name: string): string;
  /** Watches for a value that the system has made itself. */
  watch(name: string, value: string): void;
  /** The names of those that a text holds: as they are, in hexadecimal, in either base64, or encoded for a URL. */
  findIn(text: string): string[];
  readonly count: number;
}

/** Canaries of one run: none of them has ever been used before. */
export function createCanaries(): Canaries {
  const forms = new Map<string, string>();
  const watch = (name: string, value: string): void => {
    for (const form of formsOf(Buffer.from(value))) forms.set(form, name);
    // What is random in a token is bytes before it is text.
    const random = value.split(/[._]/).at(-1) ?? '';
    if (random.length < value.length && random.length >= 32) {
      for (const form of [random, ...formsOf(Buffer.from(random, 'base64url'))])
        forms.set(form, name);
    }
    forms.set(encodeURIComponent(value), name);
  };
  return {
    secret(name) {
      const value = `Kx${randomBytes(18).toString('hex')}Qz`;
      watch(name, value);
      return value;
    },
    watch,
    findIn: (text) => [
      ...new Set([...forms].filter(([form]) => text.includes(form)).map(([, name]) => name)),
    ],
    get count() {
      return new Set(forms.values()).size;
    },
  };
}

/** In base64 a text looks different at each of three places; what its neighbours have a part in is left out. */
function formsOf(bytes: Buffer): string[] {
  const inBase64 = [0, 1, 2].flatMap((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString('base64')
      .replaceAll('=', '');
    const own = shifted.slice(offset === 0 ? 0 : offset + 1, -1);
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const hex = bytes.toString('hex');
  return [bytes.toString(), hex, hex.toUpperCase(), ...inBase64];
}

/** All that Redis holds, and the log lines that are packed in it. */
export async function readRedis(url: string): Promise<string> {
  const dump = await dumpRedis(url);
  const packed = [...dump.matchAll(/\\"lines\\":\\"([A-Za-z0-9+/=]+)\\"/g)];
  const lines = packed.map(([, base64 = '']) =>
    brotliDecompressSync(Buffer.from(base64, 'base64')).toString(),
  );
  return [dump, ...lines].join('\n');
}

/** The log lines that wait on disk. What is shipped meanwhile is gone. */
export async function readSpool(dir: string): Promise<string> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const texts = files.map(({ parentPath, name }) =>
    readFile(join(parentPath, name), 'utf8').catch(() => ''),
  );
  return (await Promise.all(texts)).join('\n');
}

/** Every row of every table, partitions and all; bytes are in hexadecimal. */
export async function readDatabase({ rows }: Pick<TestContext, 'rows'>): Promise<string> {
  const tables = await rows<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  const texts = tables.map(async ({ name }) => {
    const found = await rows<{ row: string }>(`select t::text as row from ${name} t`);
    return [name, ...found.map(({ row }) => row)].join('\n');
  });
  return (await Promise.all(texts)).join('\n');
}
