import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { isLocalRequest } from '../../shared/http/local-request.js';
import { unmapped } from '../../shared/http/mapped-address.js';
import { withoutPort } from '../../shared/http/without-port.js';

/** Loopback, RFC 1918, RFC 4193 and link-local: the daemon, the container's gateway, the load balancer's health checks. */
const near = new BlockList();
near.addSubnet('127.0.0.0', 8, 'ipv4');
near.addSubnet('10.0.0.0', 8, 'ipv4');
near.addSubnet('172.16.0.0', 12, 'ipv4');
near.addSubnet('192.168.0.0', 16, 'ipv4');
near.addSubnet('169.254.0.0', 16, 'ipv4');
near.addAddress('::1', 'ipv6');
near.addSubnet('fc00::', 7, 'ipv6');
near.addSubnet('fe80::', 10, 'ipv6');

/** True for a peer on this host or in a private network; an IPv4 address may come mapped into IPv6. */
export function isNear(address: string | undefined): boolean {
  const plain = unmapped(address ?? '').replace(/%.*/, '');
  if (isIPv4(plain)) return near.check(plain, 'ipv4');
  return isIPv6(plain) && near.check(plain, 'ipv6');
}

/**
 * True for a request that a program on this host or in a private network has made of itself: not one that a proxy there
 * passes on for somebody else, nor one that a page in a browser there has made.
 */
export const isFromNear = (req: IncomingMessage): boolean =>
  isNear(req.socket.remoteAddress) &&
  forwardedFor(req).every((address) => isNear(withoutPort(address))) &&
  isLocalRequest(req);

/** Headers in which proxies say whom they ask for, besides `Forwarded`: one address or a list of them. */
const ADDRESS_HEADERS = [
  'x-forwarded-for',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-original-forwarded-for',
  'true-client-ip',
  'cf-connecting-ip',
  'fastly-client-ip',
];

/** Everybody whom proxies say that they ask for; one that hides it (`unknown`, `_name`) is no address. */
function forwardedFor({ headersDistinct: headers }: IncomingMessage): string[] {
  const listed = ADDRESS_HEADERS.flatMap((name) => headers[name] ?? []);
  // RFC 7239; a value may be quoted, and only ever is for an address of IPv6 or a port.
  const parameters = (headers['forwarded'] ?? []).flatMap((text) => text.split(/[,;]/));
  const named = parameters
    .filter((parameter) => /^\s*for\s*=/i.test(parameter))
    .map((parameter) => parameter.slice(parameter.indexOf('=') + 1).replaceAll('"', ''));
  return [...listed.flatMap((text) => text.split(',')), ...named].filter((text) => text.trim());
}
