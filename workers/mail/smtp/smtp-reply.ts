/** Whom a mail server's refusal is about: whoever sends, one recipient or mail, or it does not say. */
export type ReplySubject = 'sender' | 'recipient' | 'unclear';

/** More of a reply is not looked at. */
const MAX_READ = 1_000;

/** Words of which all must be there, in lower case. */
type Wording = readonly string[];

/** These say that it is whoever sends, whatever they go on to say about an address. */
const SENDER_BY_NAME: readonly Wording[] = [
  ['sender address rejected'],
  ['sender verify fail'],
  ['sendasdenied'],
];

/** These say that it is the recipient, whatever they go on to say about whoever sends. */
const RECIPIENT_BY_NAME: readonly Wording[] = [
  ['user unknown'],
  ['no such user'],
  ['that you tried to reach'],
  ['the recipient has'],
  // Amazon SES, of a recipient; others say it of an IP address.
  ['message rejected: address blacklisted'],
];

/** About the recipient, unless something about whoever sends is said as well. */
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

/** What Exim, Exchange Online, Gmail, Mailgun, Mailjet, Postfix, Postmark, SendGrid and others say about whoever sends. */
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
 * Enhanced status codes about whoever sends: RFC 3463, RFC 7372 and others of the registry at IANA, and those that
 * Exchange Online gives to its own customers (5.7.5xx to 5.7.7xx).
 */
const SENDER_CODE = /^5\.(?:1\.(?:7|8|90)|7\.(?:8|9|13|14|2[0-9]|57|60|64|[567]\d\d))$/;
/** Enhanced status codes about the recipient's address, or the content. */
const RECIPIENT_CODE = /^5\.(?:1\.(?:[1-6]|9|10)|6\.\d{1,3})$/;
/** About a mailbox: providers give them for the mailbox that sends, too. */
const MAILBOX_CODE = /^5\.2\./;
/** The mail, or what is stored, has become too much (RFC 5321). */
const EXCEEDED = '552';
/** The mail is too large (RFC 3463). */
const TOO_LARGE_CODE = '5.3.4';

const ENHANCED_CODE = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})(?!\S)/;

/**
 * Reads whom a refusal is about, from its enhanced status code (RFC 3463) and the words that providers are known to use.
 * What it does not know is `unclear`, as `5.7.1` alone is, and so is what speaks of both. Addresses that the reply
 * repeats are not read: strangers choose them.
 * @param response the reply with its code, 4xx or 5xx.
 */
export function subjectOf(response: string): ReplySubject {
  const text = withoutAddresses(response);
  const code = enhancedCodeIn(text);
  if (SENDER_CODE.test(code) || isSaid(text, SENDER_BY_NAME)) return 'sender';
  if (isSizeSaid(text) || isSaid(text, RECIPIENT_BY_NAME)) return 'recipient';
  const isAboutSender = isSaid(text, SENDER);
  if (RECIPIENT_CODE.test(code) || isSaid(text, RECIPIENT))
    return isAboutSender || text.includes('spam') ? 'unclear' : 'recipient';
  const isSomeMailbox = MAILBOX_CODE.test(code) || text.startsWith(EXCEEDED);
  return isAboutSender && !isSomeMailbox ? 'sender' : 'unclear';
}

/** True when a refusal says that it is about the size of the mail. */
export const isTooLarge = (response: string): boolean => isSizeSaid(withoutAddresses(response));

const isSizeSaid = (text: string): boolean =>
  enhancedCodeIn(text) === TOO_LARGE_CODE || (text.startsWith(EXCEEDED) && isSaid(text, SIZE));

const enhancedCodeIn = (text: string): string =>
  ENHANCED_CODE.exec(text)?.[1]?.replace(/^4/, '5') ?? '';

/** In lower case, and without what stands in angle brackets and words with an `@`. */
const withoutAddresses = (response: string): string =>
  response
    .slice(0, MAX_READ)
    .toLowerCase()
    .replaceAll(/<[^<>]*>/g, ' ')
    .split(/\s+/)
    .filter((word) => !word.includes('@'))
    .join(' ');

const isSaid = (text: string, wordings: readonly Wording[]): boolean =>
  wordings.some((words) => words.every((word) => text.includes(word)));

/** What tells one such answer from another, and not one mail from another: no addresses, ids, numbers or times. */
export function kindOfAnswer(response: string): string {
  return response
    .slice(0, MAX_READ)
    .toLowerCase()
    .split(/[\s<>()[\]"',;]+/)
    .filter((word, i) => word !== '' && (i === 0 || !isSpecific(word)))
    .join(' ');
}

/** A very long word, or one with a figure, an address or a path, names something; an enhanced status code does not. */
const isSpecific = (word: string): boolean =>
  word.length > 20 || (/[\d@/=]/.test(word) && !/^\d\.\d{1,3}\.\d{1,3}$/.test(word));
