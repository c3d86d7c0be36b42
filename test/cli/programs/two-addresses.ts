import dns from 'node:dns';

// Loaded before a program: the host `two-addresses.test` has an IPv4 and an IPv6 address, this machine's.

const { lookup } = dns;

dns.lookup = ((host: string, options: object, callback: (...found: unknown[]) => void) =>
  host === 'two-addresses.test'
    ? callback(null, [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ])
    : lookup(host, options, callback)) as typeof dns.lookup;
