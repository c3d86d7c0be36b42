/** Whom a refusal is about: the sender (all mail), one recipient or mail, or it does not say. */
export type RefusedParty = 'sender' | 'recipient' | 'unclear';

/** Characters of a reply that are examined. */
const MAX_EXAMINED = 1_000;

/** Phrases that must all occur, in lower case. */
type Wording = readonly string[];

/** About the sender, even if an address is mentioned too. */
const SENDER_FOR_SURE: readonly Wording[] = [
  ['sender address rejected'],
  ['sender verify fail'],
  ['sendasdenied'],
];

/** About the recipient, even if the sender is mentioned too. */
const RECIPIENT_FOR_SURE: readonly Wording[] = [
  ['user unknown'],
  ['no such user'],
  ['that you tried to reach'],
  ['the recipient has'],
  // Amazon SES, of a recipient; others say it of an IP address.
  ['message rejected: address blacklisted'],
];

/** About the recipient, unless a phrase about the sender occurs as well. */
const RECIPIENT: readonly Wording[] = [
  ['recipient address'],
  ['this recipient'],
  ['the recipient'],
  ['no such recipient'],
  ['unknown recipient'],
  ['invalid recipient'],
  ['recipient not found'],
  ['recipient rejected'],
  ['unknown user'],
  ['user not found'],
  ['user not local'],
  ['user does not exist'],
  ['address does not exist'],
  ['no such address'],
  ['unknown address'],
  ['unrouteable address'],
  ['invalid email address'],
  ['account does not exist'],
  ['mailbox'],
  ['over quota'],
  ['storage allocation'],
  ['suppression list'],
  ['marked as inactive'],
];

const SIZE: readonly Wording[] = [['size'], ['too large'], ['too big'], ['too long']];

/** Amazon SES: https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-error-messages.html and troubleshoot-smtp.html */
const SES: readonly Wording[] = [
  ['address is not verified'],
  ['address not verified'],
  ['domain', 'not verified'],
  ['identit', 'not verified'],
  ['failed the check in region'],
  ['sending paused'],
  ['sending suspended'],
  ['sending is disabled'],
  ['sending', 'is paused'],
  ['configuration set'],
  ['sandbox'],
  ['maximum sending rate'],
  ['daily message quota'],
  ['daily sending quota'],
  ['not subscribed'],
  ['tenant', 'not'],
  ['tenant', 'exceed'],
  ['tenant', 'paused'],
];

/** Phrases of Exim, Exchange Online, Gmail, Mailgun, Mailjet, Postfix, Postmark, SendGrid and others about the sender. */
const SENDER: readonly Wording[] = [
  ...SES,
  ['not authorized to'],
  ['not authorised to'],
  ['not allowed to send'],
  ['not permitted to send'],
  ['permissions to send'],
  ['permission to send'],
  ['relay', 'denied'],
  ['relay', 'not permitted'],
  ['relay', 'not allowed'],
  ['relay', 'prohibited'],
  ['unable to relay'],
  ['sender', 'rejected'],
  ['sender', 'refused'],
  ['sender', 'denied'],
  ['sender', 'blocked'],
  ['sender', 'not allowed'],
  ['sender', 'not permitted'],
  ['sender', 'not verified'],
  ['sender', 'not validated'],
  ['sender', 'invalid'],
  ['sender', 'unauthenticated'],
  ['sender identity'],
  ['sender signature'],
  ['banned send'],
  ['bad outbound sender'],
  ['from address', 'not'],
  ['from header', 'not'],
  ['not owned by user'],
  ['not logged in'],
  ['not authenticated'],
  ['unauthenticated'],
  ['authentication required'],
  ['authentication is required'],
  ['authentication failed'],
  ['dmarc'],
  ['dkim'],
  ['spf '],
  ['spf)'],
  ['(spf'],
  ['client host rejected'],
  ['client host', 'blocked'],
  ['your ip'],
  ['ip address', 'block'],
  ['ip address', 'blacklist'],
  ['ip address', 'listed'],
  ['ip address', 'reputation'],
  ['from this ip'],
  ['blocked using'],
  ['block list'],
  ['blocklist'],
  ['blacklist'],
  ['denylist'],
  ['spamhaus'],
  ['helo'],
  ['ehlo'],
  ['reverse dns'],
  ['reverse hostname'],
  ['ptr record'],
  ['your hostname'],
  ['your account'],
  ['this account'],
  ['your mailbox'],
  ['account', 'suspended'],
  ['account', 'deactivated'],
  ['account', 'locked'],
  ['accounts are for test'],
  ['credits exceeded'],
  ['sending quota'],
  ['sending limit'],
  ['sending rate'],
  ['submission', 'quota'],
  ['submission', 'limit'],
  ['submission', 'exceed'],
  ['relay limit'],
  ['daily', 'limit'],
  ['daily', 'quota'],
  ['hourly', 'limit'],
  ['hourly', 'quota'],
  ['billing'],
  ['unpaid'],
];

/**
 * Enhanced status codes about the sender: RFC 3463, RFC 7372 and others in the IANA registry, and those that Exchange
 * Online gives to its own customers (5.7.5xx to 5.7.7xx).
 */
const SENDER_CODE = /^5\.(?:1\.(?:7|8|90)|7\.(?:8|9|13|14|2[0-9]|57|60|64|[567]\d\d))$/;
/**
 * Enhanced status codes about the recipient's address, or the content; and those of Exchange Online for a recipient that
 * takes mail from some senders only.
 */
const RECIPIENT_CODE = /^5\.(?:1\.(?:[1-6]|9|10)|6\.\d{1,3}|7\.(?:124|129|13[3-6]))$/;
/** About a mailbox: some providers also use them for the sender's. */
const MAILBOX_CODE = /^5\.2\./;
/** Mailbox or message size exceeded (RFC 5321). */
const EXCEEDED = '552';
/** Message too big for the system (RFC 3463). */
const TOO_LARGE_CODE = '5.3.4';

const ENHANCED_CODE = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})(?!\S)/;

/**
 * Classifies a refusal by its enhanced status code (RFC 3463) and the phrases that providers are known to use. Unknown
 * ones are `unclear`, as `5.7.1` alone is, and so are those that mention both parties. Addresses that the reply repeats are
 * ignored, since strangers choose them.
 * @param response the reply with its code, 4xx or 5xx.
 */
export function refusedParty(response: string): RefusedParty {
  const text = withoutAddresses(response);
  const code = enhancedCodeIn(text);
  if (SENDER_CODE.test(code) || mentions(text, SENDER_FOR_SURE)) return 'sender';
  if (mentionsSize(text) || mentions(text, RECIPIENT_FOR_SURE)) return 'recipient';
  const mentionsSender = mentions(text, SENDER);
  if (RECIPIENT_CODE.test(code) || mentions(text, RECIPIENT))
    return mentionsSender || text.includes('spam') ? 'unclear' : 'recipient';
  const isSomeMailbox = MAILBOX_CODE.test(code) || text.startsWith(EXCEEDED);
  return mentionsSender && !isSomeMailbox ? 'sender' : 'unclear';
}

/** True when a refusal is about the size of the mail. */
export const isTooLarge = (response: string): boolean => mentionsSize(withoutAddresses(response));

const mentionsSize = (text: string): boolean =>
  enhancedCodeIn(text) === TOO_LARGE_CODE || (text.startsWith(EXCEEDED) && mentions(text, SIZE));

const enhancedCodeIn = (text: string): string =>
  ENHANCED_CODE.exec(text)?.[1]?.replace(/^4/, '5') ?? '';

/** In lower case, without parts in angle brackets and words with an `@`. */
const withoutAddresses = (response: string): string =>
  response
    .slice(0, MAX_EXAMINED)
    .toLowerCase()
    .replaceAll(/<[^<>]*>/g, ' ')
    .split(/\s+/)
    .filter((word) => !word.includes('@'))
    .join(' ');

const mentions = (text: string, wordings: readonly Wording[]): boolean =>
  wordings.some((words) => words.every((word) => text.includes(word)));

/** The reply without what differs from mail to mail (addresses, ids, numbers, times): replies of one kind are equal. */
export function normalizeReply(response: string): string {
  return response
    .slice(0, MAX_EXAMINED)
    .toLowerCase()
    .split(/[\s<>()[\]"',;]+/)
    .filter((word, i) => word !== '' && (i === 0 || !isSpecific(word)))
    .join(' ');
}

/** A very long word, or one with a digit, an address or a path, is specific to a mail; an enhanced status code is not. */
const isSpecific = (word: string): boolean =>
  word.length > 20 || (/[\d@/=]/.test(word) && !/^\d\.\d{1,3}\.\d{1,3}$/.test(word));
