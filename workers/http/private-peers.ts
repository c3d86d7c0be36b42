import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import {
  FORWARDING_HEADERS,
  isLocalHost,
  isLocalRequest,
  unmapped,
  withoutPort,
} from '../../shared/http/network-address.js';

/** Loopback, RFC 1918, RFC 4193 and link-local: the daemon, the container's gateway, the load balancer's health checks. */
const privateNetworks = new BlockList();
privateNetworks.addSubnet('127.0.0.0', 8, 'ipv4');
privateNetworks.addSubnet('10.0.0.0', 8, 'ipv4');
privateNetworks.addSubnet('172.16.0.0', 12, 'ipv4');
privateNetworks.addSubnet('192.168.0.0', 16, 'ipv4');
privateNetworks.addSubnet('169.254.0.0', 16, 'ipv4');
privateNetworks.addAddress('::1', 'ipv6');
privateNetworks.addSubnet('fc00::', 7, 'ipv6');
privateNetworks.addSubnet('fe80::', 10, 'ipv6');

/** True for an address of this host or of a private network, also for IPv4 mapped into IPv6. */
export function isPrivateAddress(address: string | undefined): boolean {
  const plain = unmapped(address ?? '').replace(/%.*/, '');
  if (isIPv4(plain)) return privateNetworks.check(plain, 'ipv4');
  return isIPv6(plain) && privateNetworks.check(plain, 'ipv6');
}

/**
 * True for a request from a program on this host or in a private network: not one that a proxy there forwards for a
 * public client, nor one that a page in a browser there makes.
 */
export const isFromPrivatePeer = (req: IncomingMessage): boolean =>
  isPrivateAddress(req.socket.remoteAddress) &&
  origins(req).every(isPrivateOrigin) &&
  isLocalRequest(req);

/** Match {@link FORWARDING_HEADERS}, but only say which protocol or port was used. */
const PROTOCOL_HEADERS = /forwarded-(?:proto|protocol|port|scheme|ssl)$/;

/** A client address or a host from a forwarding header. */
interface Origin {
  readonly isHost: boolean;
  readonly text: string;
}

/** An obfuscated identifier (`unknown`, `_name`) is not private; a host is if its name cannot exist on the internet. */
const isPrivateOrigin = ({ isHost, text }: Origin): boolean => {
  const address = withoutPort(text);
  if (isPrivateAddress(address)) return true;
  return isHost && isIP(address) === 0 && isLocalHost(text);
};

/** All clients and hosts from forwarding headers. */
const origins = ({ headersDistinct: headers }: IncomingMessage): Origin[] =>
  Object.entries(headers)
    .filter(([name]) => FORWARDING_HEADERS.test(name) && !PROTOCOL_HEADERS.test(name))
    .flatMap(([name, values = []]) => values.flatMap((value) => originsIn(name, value)))
    .filter(({ text }) => text !== '');

function originsIn(name: string, value: string): Origin[] {
  const isHost = /-(?:host|server)$/.test(name);
  return value.split(',').flatMap((element) => {
    if (!/^(?:x-)?forwarded$/.test(name) || !element.includes('='))
      return [{ isHost, text: element.trim() }];
    // RFC 7239. Values with an IPv6 address or a port are quoted.
    return element.split(';').flatMap((parameter) => {
      const [, key = '', quoted = ''] = /^\s*(for|host)\s*=(.*)$/i.exec(parameter) ?? [];
      const text = quoted.replaceAll('"', '').trim();
      return key === '' ? [] : [{ isHost: key.toLowerCase() === 'host', text }];
    });
  });
}
