import { randomBytes } from 'node:crypto';
import type pg from 'pg';

/** What the service knows of an address. */
export type Knowledge = 'unknown' | 'pending' | 'confirmed';

/** An address that no account has yet. All are of one length: what is longer takes longer to read. */
const freshAddress = (): string => `${randomBytes(8).toString('hex')}@timing.example`;

/**
 * Makes accounts with one password, in one statement each kind: over HTTP it would take as long as what is measured.
 * Resolves to their addresses.
 */
export async function makeAccounts(
  client: pg.Client,
  knowledge: Knowledge,
  count: number,
  passwordHash: string,
): Promise<string[]> {
  const addresses = Array.from({ length: count }, freshAddress);
  if (knowledge !== 'unknown') await client.query(INSERTS[knowledge], [addresses, passwordHash]);
  return addresses;
}

/** An address is in lower case, so it is its own canonical form; as a name it is free. */
const INSERTS: Readonly<Record<Exclude<Knowledge, 'unknown'>, string>> = {
  confirmed: `
    insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at)
    select address, address, address, address, $2, now() from unnest($1::text[]) as address`,
  pending: `
    insert into registrations (id, email, email_canonical, name, name_canonical, password_hash)
    select gen_random_uuid(), address, address, address, address, $2 from unnest($1::text[]) as address`,
};
