import { isIPv4, isIPv6 } from 'node:net';

/** Of all IPv4 addresses one in 16 at most; private networks have fewer. */
const MAX_IPV4_ADDRESSES = 2 ** 28;
const MIN_IPV4_BITS = 8;
/** Providers announce /16s at the widest; fc00::/7 and fe80::/10 are private. */
const MIN_IPV6_BITS = 16;
/** No chain of proxies is longer. A count past the chain's length takes the client's own word for its address. */
const MAX_HOPS = 9;

/** True for an address or a CIDR. */
export function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const maxBits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  return maxBits >= 0 && Number(bits ?? 0) <= maxBits;
}

/**
 * What is wrong with trusting these proxies, or `undefined`: a network in which anybody may have an address, or a number
 * of hops that no deployment has, lets every client choose the address that limits and the audit see.
 * @param proxies a number of hops, or addresses and CIDRs.
 */
export function tooMuchTrust(proxies: readonly string[]): string | undefined {
  const hops = Number(proxies[0]);
  if (proxies.length === 1 && Number.isInteger(hops))
    return hops > MAX_HOPS ? 'counts more proxies than any chain has' : undefined;
  const networks = proxies.map(readNetwork);
  const isWide = networks.some(({ family, bits, isPrivate }) =>
    family === 4 ? bits < MIN_IPV4_BITS : bits < MIN_IPV6_BITS && !isPrivate,
  );
  const ipv4Addresses = networks
    .filter(({ family }) => family === 4)
    .reduce((sum, { bits }) => sum + 2 ** (32 - bits), 0);
  return isWide || ipv4Addresses > MAX_IPV4_ADDRESSES
    ? 'trusts networks in which anybody may have an address'
    : undefined;
}

function readNetwork(text: string) {
  const [address = '', given] = text.split('/');
  if (isIPv4(address)) return { family: 4, bits: Number(given ?? 32), isPrivate: false } as const;
  const bits = Number(given ?? 128);
  // Written in one way by the parser of URLs: mapped IPv4 addresses are `::ffff:808:808`.
  const { hostname } = new URL(`http://[${address}]`);
  if (bits >= 96 && /^\[::ffff:[\da-f]+:[\da-f]+\]$/.test(hostname))
    return { family: 4, bits: bits - 96, isPrivate: false } as const;
  // Proxies that are trusted by an IPv6 network are compared with mapped IPv4 addresses too: all of them begin with zeros.
  const isMapped = hostname.startsWith('[::') && bits < 96;
  const isPrivate = /^\[(f[cd]|fe[89ab])/.test(hostname) && bits >= 7;
  return { family: 6, bits: isMapped ? 0 : bits, isPrivate } as const;
}
