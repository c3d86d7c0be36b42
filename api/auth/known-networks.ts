import type { EmailAddress } from '../../shared/identity/email-address.js';
import { Admin, Session } from '../../shared/models/index.js';
import { networkOf } from '../throttling/networks.js';

/** True when the address's owner has logged in from this network before; such networks are not locked out by strangers. */
export async function hasLoggedInFrom(
  { canonical }: EmailAddress,
  ip: string | undefined,
): Promise<boolean> {
  const count = await Session.count({
    where: { network: networkOf(ip) },
    include: { model: Admin, required: true, where: { emailCanonical: canonical } },
  });
  return count > 0;
}
