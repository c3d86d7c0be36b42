import { BlockList, isIPv4, isIPv6 } from 'node:net';

/** At most a sixteenth of all IPv4 addresses; all private networks together have fewer. */
const MAX_IPV4_ADDRESSES = 2 ** 28;
/** The widest networks that CDNs publish for their proxies; private networks may be wider. */
const MIN_IPV4_BITS = 12;
const MIN_IPV6_BITS = 29;
/** Not routed on the internet: RFC 1122, RFC 1918, RFC 3927, RFC 6598. */
const PRIVATE_IPV4 = [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16],
  ['100.64.0.0', 10],
] as const;
/** fc00::/7 and fe80::/10. */
const PRIVATE_IPV6 = /^\[(f[cd]|fe[89ab])/;
/** 6to4 (RFC 3056) and NAT64 (RFC 6052) embed every IPv4 address. */
const EMBEDS_IPV4 = /^\[(2002|64:ff9b):/;
/** No real chain is longer. A count beyond the chain's length trusts the address that the client claims. */
const MAX_HOPS = 9;

/** True for an address or a CIDR. */
export function isNetwork(text: string): boolean {
  const [, address = '', bits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const maxBits = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  return maxBits >= 0 && Number(bits ?? 0) <= maxBits;
}

/**
 * Why these proxies must not be trusted, or `undefined`. Trusting a public network, or more hops than a deployment has,
 * lets every client choose the address that rate limits and the audit trail see.
 * @param proxies a number of hops, or addresses and CIDRs.
 */
export function excessiveTrust(proxies: readonly string[]): string | undefined {
  const hops = Number(proxies[0]);
  if (proxies.length === 1 && Number.isInteger(hops))
    return hops > MAX_HOPS ? `is more than ${MAX_HOPS} proxy hops` : undefined;
  const networks = proxies.map(readNetwork);
  const isWide = networks.some(
    ({ family, bits, isPrivate }) =>
      !isPrivate && bits < (family === 4 ? MIN_IPV4_BITS : MIN_IPV6_BITS),
  );
  const ipv4Addresses = networks
    .filter(({ family }) => family === 4)
    .reduce((sum, { bits }) => sum + 2 ** (32 - bits), 0);
  return isWide || ipv4Addresses > MAX_IPV4_ADDRESSES
    ? 'trusts public networks, in which any client may have an address'
    : undefined;
}

function readNetwork(text: string) {
  const [address = '', given] = text.split('/');
  if (isIPv4(address)) return ipv4Network(address, Number(given ?? 32));
  const bits = Number(given ?? 128);
  // The URL parser normalizes it: mapped IPv4 addresses are `::ffff:808:808`.
  const { hostname } = new URL(`http://[${address}]`);
  if (bits >= 96 && /^\[::ffff:[\da-f]+:[\da-f]+\]$/.test(hostname))
    return ipv4Network(hostname.slice(1, -1), bits - 96);
  // Express compares IPv6 networks with mapped IPv4 addresses too, which all begin with zeros.
  const isMapped = hostname.startsWith('[::') && bits < 96;
  const isEmbedding = EMBEDS_IPV4.test(hostname) && bits < 128;
  const isPrivate = PRIVATE_IPV6.test(hostname) && bits >= 7;
  return { family: 6, bits: isMapped || isEmbedding ? 0 : bits, isPrivate } as const;
}

/** @param address in dotted form, or mapped into IPv6. */
function ipv4Network(address: string, bits: number) {
  const isPrivate = PRIVATE_IPV4.some(([network, width]) => {
    const list = new BlockList();
    list.addSubnet(network, width, 'ipv4');
    return bits >= width && list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  });
  return { family: 4, bits, isPrivate } as const;
}
