import * as z from 'zod';
import { parseEmailAddress } from '../identity/email-address.js';
import { isNetwork } from './proxies.js';

/** E-mail addresses in the form that identity is decided by. */
export const emailAddresses = z.array(z.string()).transform((texts, context) => {
  const addresses = texts.map((text) => parseEmailAddress(text)?.canonical);
  if (addresses.includes(undefined))
    context.addIssue({ code: 'custom', message: 'must be e-mail addresses, comma-separated' });
  return addresses.filter((address) => address !== undefined);
});

/** `Name <address>` or an address. */
export const sender = z.string().transform((text, context) => {
  const [, name = '', inBrackets] = /^([^<>"\r\n]*)<([^<>\r\n]+)>$/.exec(text) ?? [];
  const parsed = parseEmailAddress(inBrackets ?? text);
  if (parsed) return { name: name.trim() || 'Rollcall', address: parsed.address };
  context.addIssue({ code: 'custom', message: 'must be an address, or Name <address>' });
  return z.NEVER;
});

/** How many proxies there are, or where they are. */
export const proxies = z
  .array(z.string())
  .refine(
    (texts) => texts.every(isNetwork) || (texts.length === 1 && /^\d{1,2}$/.test(texts[0] ?? '')),
    'must be a hop count, or addresses and CIDRs',
  );
