import { QueryTypes } from 'sequelize';
import type { Database } from '../../shared/database/connect.js';
import type { EmailAddress } from '../../shared/identity/email-address.js';
import { networkOf } from '../throttling/networks.js';
import type { HashClient } from './hash-limiter.js';

/**
 * True when the address's owner has been seen in this network: logged in from it, or followed a mailed link. Such networks
 * are not locked out by strangers.
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

/** Whoever follows a mailed link, or has a session, is the account's owner, in whatever network. */
export const ownersClient = ({ ip }: { readonly ip?: string | undefined }): HashClient => ({
  ip,
  isKnownNetwork: () => Promise.resolve(true),
});
