import type { IncomingMessage } from 'node:http';
import { isIPv4, isIPv6 } from 'node:net';
import proxyAddr from 'proxy-addr';
import { withoutPort } from '../../shared/http/network-address.js';

/** Express's setting: a number of hops, or the addresses and networks of the proxies. */
export type TrustProxy = number | string[];

/** More proxies than any legitimate request passes. Each appends an address. */
const MAX_ADDRESSES = 100;

/** Determines the client's address: that of the connection, or the one that the trusted proxies report. */
export function createClientAddress(
  trustProxy: TrustProxy,
): (req: IncomingMessage) => string | undefined {
  if (trustProxy === 0) return (req) => req.socket.remoteAddress;
  const trust =
    typeof trustProxy === 'number'
      ? (_address: string, hop: number) => hop < trustProxy
      : proxyAddr.compile(trustProxy);
  return (req) => {
    normalizeForwardedFor(req);
    return canonical(proxyAddr(req, trust) ?? '') ?? req.socket.remoteAddress;
  };
}

/** An address in its one form (RFC 5952), so that a client has one; undefined for what is none. */
function canonical(text: string): string | undefined {
  if (isIPv4(text)) return text;
  const [withoutZone = ''] = text.split('%', 1);
  if (!isIPv6(withoutZone)) return undefined;
  const address = new URL(`http://[${withoutZone}]`).hostname.slice(1, -1);
  return mappedIPv4(address) ?? address;
}

/** The IPv4 address in an IPv4-mapped one (RFC 4291, section 2.5.5.2), which the parser of URLs writes in hexadecimal. */
function mappedIPv4(address: string): string | undefined {
  const groups = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(address)?.slice(1);
  return groups
    ?.map((group) => Number.parseInt(group, 16))
    .flatMap((number) => [number >> 8, number & 0xff])
    .join('.');
}

/**
 * Removes ports and brackets from the addresses in `X-Forwarded-For`. Some proxies add the client's port (an AWS load
 * balancer with `xff_client_port`), so each connection would be another client. Of more than 100 addresses only the last
 * are kept.
 */
function normalizeForwardedFor({ headers }: IncomingMessage): void {
  const given = headers['x-forwarded-for'];
  if (typeof given !== 'string') return;
  headers['x-forwarded-for'] = given.split(',').slice(-MAX_ADDRESSES).map(withoutPort).join(', ');
}
