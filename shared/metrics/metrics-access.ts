import type { IncomingMessage } from 'node:http';
import { areEqualSecrets } from '../crypto/equal-secrets.js';
import { isLocalRequest, unmapped } from '../http/network-address.js';

/** Headers by which a proxy says that it forwards a request of somebody else. */
const FORWARDED = /^(?:forwarded|via|x-forwarded-.*|x-real-ip|x-client-ip|true-client-ip)$/;

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
    !Object.keys(req.headers).some((name) => FORWARDED.test(name))
  );
}

const isLoopback = (address = ''): boolean =>
  address === '::1' || unmapped(address).startsWith('127.');
