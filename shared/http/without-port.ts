import { isIPv4, isIPv6 } from 'node:net';

/** An address without the port behind it and the brackets around it; what is no address stays as it is. */
export function withoutPort(text: string): string {
  const given = text.trim();
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d*)?$/.exec(given) ?? [];
  if (bracketed !== undefined && isIPv6(bracketed)) return bracketed;
  return plain !== undefined && isIPv4(plain) ? plain : given;
}
