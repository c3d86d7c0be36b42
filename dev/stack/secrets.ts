import { randomBytes } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A login of the local stack. */
export interface Login {
  readonly email: string;
  readonly password: string;
}

/** Secrets of one local stack: made once, and kept with its data, for they belong together. */
export interface LocalSecrets {
  readonly secretKey: string;
  readonly passwordPepper: string;
  readonly operator: Login;
  readonly exampleAdmin: Login;
}

/** Reads the secrets of the data folder, or makes them. */
export async function loadSecrets(dataDir: string): Promise<LocalSecrets> {
  const kept = await readFile(fileIn(dataDir), 'utf8').catch(() => undefined);
  if (kept !== undefined) return JSON.parse(kept) as LocalSecrets;
  const made: LocalSecrets = {
    secretKey: randomBytes(32).toString('base64url'),
    passwordPepper: randomBytes(32).toString('base64url'),
    operator: { email: 'operator@rollcall.test', password: randomPassword() },
    exampleAdmin: { email: 'ada@rollcall.test', password: randomPassword() },
  };
  await saveSecrets(dataDir, made);
  return made;
}

/** Keeps the secrets, in a file that is the owner's alone. */
export async function saveSecrets(dataDir: string, secrets: LocalSecrets): Promise<void> {
  const draft = `${fileIn(dataDir)}.new`;
  await writeFile(draft, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
  await rename(draft, fileIn(dataDir));
}

/** Four groups of four letters and digits: long enough for the rules, and short enough to be typed. */
export function randomPassword(): string {
  const letters = 'abcdefghijkmnpqrstuvwxyz23456789';
  const text = [...randomBytes(16)].map((byte) => letters[byte % letters.length]).join('');
  return text.match(/.{4}/g)?.join('-') ?? text;
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'secrets.json');
}
