import { randomBytes } from 'node:crypto';
import type pg from 'pg';

/** The state of an address in the service. */
export type AddressState = 'unknown' | 'pending' | 'confirmed';

/** A new address. All have the same length, since longer ones take longer to parse. */
const freshAddress = (): string => `${randomBytes(8).toString('hex')}@timing.example`;

/**
 * Creates accounts with the same password by one SQL statement, since creating them over HTTP would take as long as the
 * measurement. Resolves to their addresses.
 */
export async function createAccounts(
  client: pg.Client,
  state: AddressState,
  count: number,
  passwordHash: string,
): Promise<string[]> {
  const addresses = Array.from({ length: count }, freshAddress);
  if (state !== 'unknown') await client.query(INSERTS[state], [addresses, passwordHash]);
  return addresses;
}

/** A lower-case address is its own canonical form; it also serves as a unique name. */
const INSERTS: Readonly<Record<Exclude<AddressState, 'unknown'>, string>> = {
  confirmed: `
    insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at)
    select address, address, address, address, $2, now() from unnest($1::text[]) as address`,
  pending: `
    insert into registrations (id, email, email_canonical, name, name_canonical, password_hash)
    select gen_random_uuid(), address, address, address, address, $2 from unnest($1::text[]) as address`,
};
