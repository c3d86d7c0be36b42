import type { IncomingMessage } from 'node:http';
import { areEqualSecrets } from '../crypto/equal-secrets.js';
import { FORWARDING_HEADERS, isLocalRequest, unmapped } from '../http/network-address.js';

/**
 * Whether a request may read the metrics: it bears the token; or none is configured and it comes from a program on this
 * host, not through a proxy there.
 */
export function mayReadMetrics(req: IncomingMessage, token: string | undefined): boolean {
  if (token !== undefined) {
    const [, given] = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? '') ?? [];
    return given !== undefined && areEqualSecrets(given, token);
  }
  return (
    isLoopback(req.socket.remoteAddress) &&
    isLocalRequest(req) &&
    !Object.keys(req.headers).some((name) => name === 'via' || FORWARDING_HEADERS.test(name))
  );
}

const isLoopback = (address = ''): boolean =>
  address === '::1' || unmapped(address).startsWith('127.');
