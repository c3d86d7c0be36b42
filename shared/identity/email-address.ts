import { domainToASCII, domainToUnicode } from 'node:url';

const MAX_LOCAL_BYTES = 64;
const MAX_ADDRESS_BYTES = 254;
/** In UTF-16 units: a decomposed Unicode domain is longer than its ASCII form, and whitespace may surround the address. */
const MAX_INPUT_UNITS = 1_000;
/** RFC 5322 dot-atom: no quoting or comments, which mail systems interpret differently. */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export interface EmailAddress {
  /** For sending: the local part as entered, the domain in ASCII. */
  readonly address: string;
  /** For comparing: {@link canonicalAddress}. */
  readonly canonical: string;
}

/** Length limits of an address in characters. */
export const addressLength = { min: 5, max: MAX_ADDRESS_BYTES } as const;

/**
 * Parses an e-mail address that a person entered: like {@link parseEmailAddress}, but surrounding whitespace, which keyboards
 * and copying add, is ignored.
 */
export const readTypedAddress = (text: string): EmailAddress | undefined =>
  text.length > MAX_INPUT_UNITS ? undefined : parseEmailAddress(text.trim());

/**
 * True when a text contains something that mail clients decode as an encoded word (RFC 2047) and so would display as
 * something else.
 */
export function holdsEncodedWord(text: string): boolean {
  const start = text.indexOf('=?');
  return start >= 0 && text.includes('?=', start + 2);
}

/**
 * Parses an e-mail address, or returns `undefined` if it is not accepted: an ASCII dot-atom local part without encoded words,
 * a domain of at least two labels that is not a number (international domains as IDNA, UTS 46), 254 bytes in all
 * (RFC 5321). Linear in the length of its input.
 */
export function parseEmailAddress(text: string): EmailAddress | undefined {
  if (text.length > MAX_INPUT_UNITS) return undefined;
  const at = text.lastIndexOf('@');
  const local = text.slice(0, at);
  if (
    at < 1 ||
    local.length > MAX_LOCAL_BYTES ||
    !LOCAL_PART.test(local) ||
    holdsEncodedWord(local)
  )
    return undefined;
  const domain = asciiDomain(text.slice(at + 1).normalize('NFC'));
  if (domain === undefined) return undefined;
  const address = `${local}@${domain}`;
  return address.length > MAX_ADDRESS_BYTES
    ? undefined
    : { address, canonical: canonicalAddress(address) };
}

/**
 * The form in which addresses are compared: lower case. Tags and dots are kept, since they may belong to another person.
 * Equals SQL's `lower`, as accepted addresses are ASCII.
 */
export const canonicalAddress = (address: string): string => address.toLowerCase();

function asciiDomain(text: string): string | undefined {
  if (text.length > MAX_ADDRESS_BYTES) return undefined;
  // The URL parser would drop or decode these characters. Joiners are allowed: it accepts them where IDNA does.
  if (!/^(?:[^\s\p{Cc}\p{Cf}%/\\?#:@[\]]|[\u200c\u200d])+$/u.test(text)) return undefined;
  const domain = domainToASCII(text);
  const labels = domain.split('.');
  const isName =
    labels.length >= 2 &&
    labels.every((label) => LABEL.test(label)) &&
    /[a-z]/.test(labels.at(-1) ?? '');
  return isName && !holdsBrokenPunycode(domain) ? domain : undefined;
}

const PUNYCODE = /(?:^|\.)xn--/;

/** True unless each label in punycode stands for other letters, and they for it. The URL parser of Node 24 no longer looks. */
function holdsBrokenPunycode(domain: string): boolean {
  if (!PUNYCODE.test(domain)) return false;
  const shown = domainToUnicode(domain);
  return PUNYCODE.test(shown) || domainToASCII(shown) !== domain;
}
