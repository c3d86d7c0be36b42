import type { IncomingMessage } from 'node:http';
import { AppError } from '../../../shared/errors/app-error.js';

/**
 * Refuses what another site's page may have sent (OWASP, Cross-Site Request Forgery Prevention: verifying the origin). Browsers
 * set both headers and scripts cannot change them: `Origin` must be this host or the public URL, `Sec-Fetch-Site` must say
 * `same-origin` where it is sent, and one of them must be.
 * @throws {AppError} `cross_site`.
 */
export function requireSameOrigin({ headers }: IncomingMessage, publicUrl: string): void {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site !== undefined && site !== 'same-origin') throw new AppError('cross_site');
  if (origin === undefined ? site === undefined : !isOwn(origin, host, publicUrl))
    throw new AppError('cross_site');
}

/** A proxy may have ended TLS, so the scheme of this connection says nothing. */
function isOwn(origin: string, host: string | undefined, publicUrl: string): boolean {
  if (!URL.canParse(origin)) return false;
  const claimed = new URL(origin);
  if (claimed.origin === new URL(publicUrl).origin) return true;
  return /^https?:$/.test(claimed.protocol) && claimed.host === host?.toLowerCase();
}
