import { domainToASCII } from 'node:url';

const MAX_LOCAL_BYTES = 64;
const MAX_ADDRESS_BYTES = 254;
/** A domain in Unicode, its letters decomposed, may be longer than in ASCII; blanks come around it. */
const MAX_UNITS_TYPED = 1_000;
/** RFC 5322 dot-atom: no quoting, no comments, nothing that one mail system reads and another does not. */
const LOCAL_PART = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** An address in its two forms. */
export interface EmailAddress {
  /** What mail is sent to: the local part as typed, the domain in ASCII. */
  readonly address: string;
  /** What identity is decided by: {@link canonicalAddress}. */
  readonly canonical: string;
}

/** Bounds of an address in characters. */
export const addressLength = { min: 5, max: MAX_ADDRESS_BYTES } as const;

/**
 * Reads an e-mail address as a person gives it: the blanks around it, which keyboards and copying add, don't count.
 * Otherwise as {@link parseEmailAddress}.
 */
export const readTypedAddress = (text: string): EmailAddress | undefined =>
  text.length > MAX_UNITS_TYPED ? undefined : parseEmailAddress(text.trim());

/**
 * True when a text holds what readers of mail take for an encoded word, wherever it stands (RFC 2047): they would show
 * something else than was written.
 */
export function holdsEncodedWord(text: string): boolean {
  const start = text.indexOf('=?');
  return start >= 0 && text.includes('?=', start + 2);
}

/**
 * Reads an e-mail address, or returns `undefined` if it is not one that we take: ASCII dot-atom local part
 * without encoded words, a domain
 * of at least two labels that is not a number (international domains as IDNA, UTS 46), 254 bytes in all (RFC 5321).
 * Linear in the length of its input.
 */
export function parseEmailAddress(text: string): EmailAddress | undefined {
  if (text.length > MAX_UNITS_TYPED) return undefined;
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
 * What identity is decided by: an address in lower case. Tags and dots are kept: they may be another person. SQL's
 * `lower` says the same of what we take, which is ASCII.
 */
export const canonicalAddress = (address: string): string => address.toLowerCase();

function asciiDomain(text: string): string | undefined {
  if (text.length > MAX_ADDRESS_BYTES) return undefined;
  // The URL parser would drop or decode these, joiners apart, which it takes where IDNA does; an address that needs it is not an address.
  if (!/^(?:[^\s\p{Cc}\p{Cf}%/\\?#:@[\]]|[\u200c\u200d])+$/u.test(text)) return undefined;
  const domain = domainToASCII(text);
  const labels = domain.split('.');
  const isName =
    labels.length >= 2 &&
    labels.every((label) => LABEL.test(label)) &&
    /[a-z]/.test(labels.at(-1) ?? '');
  return isName ? domain : undefined;
}
