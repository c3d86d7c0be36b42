import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import {
  isLocalHost,
  isLocalRequest,
  unmapped,
  withoutPort,
} from '../../shared/http/network-address.js';

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
  isNear(req.socket.remoteAddress) && forwardedFrom(req).every(isOfNear) && isLocalRequest(req);

/**
 * Headers in which proxies say whom they ask for, or in whose name, whatever product it is. Such as these come and go:
 * what is not known to say something else is taken for one of them.
 */
const FORWARDING =
  /^(?:x-original-)?(?:x-)?forwarded|(?:client|connecting|real|remote|socket|user)-?(?:ip|addr)|external-address|^x-(?:original-)?host$/;
/** Of the same kind by name alone: they tell how the request came. */
const MANNER = /forwarded-(?:proto|protocol|port|scheme|ssl)$/;

/** Something that a proxy says of where a request came from: the name of an address or of a host. */
interface Origin {
  readonly isHost: boolean;
  readonly text: string;
}

/** One that hides itself (`unknown`, `_name`) is no address; a name is near if nobody on the internet can have it. */
const isOfNear = ({ isHost, text }: Origin): boolean => {
  const address = withoutPort(text);
  if (isNear(address)) return true;
  return isHost && isIP(address) === 0 && isLocalHost(text);
};

/** Everybody whom proxies say that they ask for, and every host that they have been asked for. */
const forwardedFrom = ({ headersDistinct: headers }: IncomingMessage): Origin[] =>
  Object.entries(headers)
    .filter(([name]) => FORWARDING.test(name) && !MANNER.test(name))
    .flatMap(([name, values = []]) => values.flatMap((value) => originsIn(name, value)))
    .filter(({ text }) => text !== '');

function originsIn(name: string, value: string): Origin[] {
  const isHost = /-(?:host|server)$/.test(name);
  return value.split(',').flatMap((element) => {
    if (!/^(?:x-)?forwarded$/.test(name) || !element.includes('='))
      return [{ isHost, text: element.trim() }];
    // RFC 7239; a value may be quoted, and only ever is for an address of IPv6 or a port.
    return element.split(';').flatMap((parameter) => {
      const [, key = '', quoted = ''] = /^\s*(for|host)\s*=(.*)$/i.exec(parameter) ?? [];
      const text = quoted.replaceAll('"', '').trim();
      return key === '' ? [] : [{ isHost: key.toLowerCase() === 'host', text }];
    });
  });
}
