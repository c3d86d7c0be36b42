import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A login of the local stack. */
export interface Login {
  readonly email: string;
  readonly password: string;
}

/** Secrets of one local stack, generated once and kept with its data, which is useless without them. */
export interface LocalSecrets {
  readonly secretKey: string;
  readonly passwordPepper: string;
  readonly operator: Login;
  readonly exampleAdmin: Login;
}

/** Reads the secrets of the data folder; generates and saves them on the first run. */
export async function loadSecrets(dataDir: string): Promise<LocalSecrets> {
  const saved = await readFile(fileIn(dataDir), 'utf8').catch(ignoreMissing);
  if (saved !== undefined) return JSON.parse(saved) as LocalSecrets;
  const generated: LocalSecrets = {
    secretKey: randomBytes(32).toString('base64url'),
    passwordPepper: randomBytes(32).toString('base64url'),
    operator: { email: 'operator@rollcall.test', password: randomPassword() },
    exampleAdmin: { email: 'ada@rollcall.test', password: randomPassword() },
  };
  await saveSecrets(dataDir, generated);
  return generated;
}

/** Writes the secrets atomically, to a file that only its owner can read. */
export async function saveSecrets(dataDir: string, secrets: LocalSecrets): Promise<void> {
  const draft = `${fileIn(dataDir)}.new`;
  await writeFile(draft, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, fileIn(dataDir));
}

/** Four groups of four letters and digits, 80 bits: long enough for the password rules, short enough to type. */
export function randomPassword(): string {
  const letters = 'abcdefghijkmnpqrstuvwxyz23456789';
  const text = [...randomBytes(16)].map((byte) => letters[byte % letters.length]).join('');
  return text.match(/.{4}/g)?.join('-') ?? text;
}

function ignoreMissing(error: unknown): undefined {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'secrets.json');
}
