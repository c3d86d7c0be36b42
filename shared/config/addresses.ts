import { isIP, isIPv4, isIPv6 } from 'node:net';
import * as z from 'zod';
import { parseEmailAddress } from '../identity/email-address.js';
import { isNetwork } from './proxies.js';

/** E-mail addresses in canonical form, in which they are compared. */
export const emailAddresses = z.array(z.string()).transform((texts, context) => {
  const addresses = texts.map((text) => parseEmailAddress(text)?.canonical);
  if (addresses.includes(undefined))
    context.addIssue({ code: 'custom', message: 'must be e-mail addresses, comma-separated' });
  return addresses.filter((address) => address !== undefined);
});

/** An address, `Name <address>`, or `"Name" <address>` (RFC 5322 3.4), where the name may hold any character. */
export const sender = z.string().transform((text, context) => {
  const [, quoted, plain = '', inBrackets] =
    /^(?:"((?:[^"\\\p{Cc}]|\\\P{Cc})*)" *|([^<>"\p{Cc}]*))<([^<>\p{Cc}]+)>$/u.exec(text) ?? [];
  const name = quoted?.replaceAll(/\\(.)/gu, '$1') ?? plain;
  const parsed = parseEmailAddress(inBrackets ?? text);
  if (parsed) return { name: name.trim() || 'Rollcall', address: parsed.address };
  const message = 'must be an address, Name <address> or "Name" <address>';
  context.addIssue({ code: 'custom', message });
  return z.NEVER;
});

const IS_HOST = 'must be a host name or an IP address';

/** What is listened on or connected to: the names of containers, with `_` in them, are fine. */
export const host = z.string().refine(isHost, IS_HOST);

/** A host, or the folder of PostgreSQL's Unix socket. */
export const hostOrSocket = z
  .string()
  .refine(
    (text) => isHost(text) || /^\/[^\p{Cc}]*(?<!\s)$/u.test(text),
    `${IS_HOST}, or a folder's path`,
  );

/** A domain name, or an address literal such as `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.1.1, 4.1.3). */
export const ehloName = z
  .string()
  .refine(isEhloName, 'must be a host name, or an address in brackets');

/** A number of proxy hops, or the addresses and CIDRs of the proxies. */
export const proxies = z
  .array(z.string())
  .refine(
    (texts) => texts.every(isNetwork) || (texts.length === 1 && /^\d{1,2}$/.test(texts[0] ?? '')),
    'must be a hop count, or addresses and CIDRs',
  );

/** As the resolver takes it, so an IPv6 address without brackets. What ends in a number is an address or nothing. */
export function isHost(text: string): boolean {
  if (isIP(text) !== 0) return true;
  const labels = text.replace(/\.$/, '').split('.');
  const isLabel = (label: string): boolean => /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/i.test(label);
  return text.length <= 253 && labels.every(isLabel) && !/^\d+$/.test(labels.at(-1) ?? '');
}

function isEhloName(text: string): boolean {
  const literal = /^\[(IPv6:)?([^[\]]+)\]$/i.exec(text);
  if (literal) return literal[1] ? isIPv6(literal[2] ?? '') : isIPv4(literal[2] ?? '');
  const isLabel = (label: string): boolean =>
    /^[a-z0-9-]{1,63}$/i.test(label) && !label.startsWith('-') && !label.endsWith('-');
  return text.length <= 253 && text.split('.').every(isLabel) && /[a-z]/i.test(text);
}
