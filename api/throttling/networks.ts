import { isIPv4, isIPv6 } from 'node:net';
import { unmapped } from '../../shared/http/mapped-address.js';

/** The part of an address that one customer of a network has: an IPv4 address, or an IPv6 /64. */
export function customerOf(ip: string | undefined): string {
  const address = unmapped(ip ?? 'unknown');
  return isIPv6(address) ? prefix64(address) : address;
}

/** The network that an address is in, as wide as a person's address moves: an IPv4 /24, or an IPv6 /64. */
export function networkOf(ip: string | undefined): string {
  const address = unmapped(ip ?? 'unknown');
  if (isIPv4(address)) return `${address.split('.').slice(0, 3).join('.')}.0/24`;
  return isIPv6(address) ? prefix64(address) : address;
}

function prefix64(address: string): string {
  const [head = '', tail] = address.split('%')[0]?.split('::') ?? [];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const gap = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array.from({ length: Math.max(0, gap) }, () => '0'), ...right];
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
