import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { networkOf } from '../rate-limits/networks.js';
import type { HashClient } from './hash-limiter.js';

/**
 * True when the owner of the address has logged in from this network, or followed a mailed link there. Attempts by strangers
 * don't lock such networks out.
 */
export async function isKnownNetwork(
  database: Database,
  { canonical }: EmailAddress,
  ip: string | undefined,
): Promise<boolean> {
  const [row] = await database.query<{ isKnown: boolean }>(
    `select exists (select from sessions s where s.admin_id = a.id and s.network = $network)
         or exists (select from confirmations c where c.admin_id = a.id and c.network = $network
                     and c.email_canonical = a.email_canonical) as "isKnown"
       from admins a where a.email_canonical = $canonical`,
    { type: QueryTypes.SELECT, bind: { canonical, network: networkOf(ip) } },
  );
  return row?.isKnown ?? false;
}

/** A client with a mailed link or a session counts as the account's owner, in any network. */
export const ownersClient = ({ ip }: { readonly ip?: string | undefined }): HashClient => ({
  ip,
  isKnownNetwork: () => Promise.resolve(true),
});
