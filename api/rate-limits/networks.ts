import { isIPv4, isIPv6 } from 'node:net';
import { unmapped } from '../../shared/http/network-address.js';

/**
 * The networks that one client may control: its IPv4 address, or, narrowest first, its IPv6 /64, /56 and /48. A host
 * usually has a /64, a home a /56, a site a /48 (RFC 6177), and can use every address in it.
 */
export function clientNetworks(ip: string | undefined): readonly [string, ...string[]] {
  const address = unmapped(ip ?? 'unknown');
  if (!isIPv6(address)) return [address];
  return [ipv6Prefix(address, 64), ipv6Prefix(address, 56), ipv6Prefix(address, 48)];
}

/** The widest network that one client may control: an IPv4 address, or an IPv6 /48. */
export const sharedNetworkOf = (ip: string | undefined): string => {
  const address = unmapped(ip ?? 'unknown');
  return isIPv6(address) ? ipv6Prefix(address, 48) : address;
};

/** The network within which a person's address usually changes: an IPv4 /24, or an IPv6 /64. */
export function networkOf(ip: string | undefined): string {
  const address = unmapped(ip ?? 'unknown');
  if (isIPv4(address)) return `${address.split('.').slice(0, 3).join('.')}.0/24`;
  return isIPv6(address) ? ipv6Prefix(address, 64) : address;
}

/** Canonical: every spelling of an address gives the same text. */
function ipv6Prefix(address: string, bits: 48 | 56 | 64): string {
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: Math.max(0, gap) }, () => '0'), ...right];
  const numbers = groups.slice(0, bits > 48 ? 4 : 3).map((group) => Number.parseInt(group, 16));
  if (bits === 56) numbers[3] = (numbers[3] ?? 0) & 0xff00;
  return `${numbers.map((number) => number.toString(16)).join(':')}::/${bits}`;
}
