import * as z from 'zod';
import { maskPersonalData } from '../../../shared/logging/mask.js';
import {
  MailFailure,
  type MailFailureDetails,
  type MailFailureEffect,
  type MailProgress,
} from '../mail.port.js';
import { isTooLarge, refusedParty } from './smtp-reply.js';

/** A failure as nodemailer reports it: its own code, and the server's reply if there was one. */
const SmtpError = z.object({
  message: z.string(),
  code: z.string().catch(''),
  command: z.string().catch(''),
  /** 0 without a reply, and for one that is no failure of RFC 5321: what answers is hardly a mail server. */
  responseCode: z.int().min(400).max(599).catch(0),
  response: z.string().catch(''),
  originalCode: z.string().optional().catch(undefined),
});
type SmtpError = z.output<typeof SmtpError>;

/** Shorter than the five minutes without an attempt after which the readiness check of the outbox fails. */
const DAILY_QUOTA_PAUSE_MS = 4 * 60_000;
const DAILY_QUOTA = /daily (?:\w{1,20} )?quota/i;
const RATE_PAUSE_MS = 1_000;
const RATE_PAUSE_JITTER_MS = 500;

/** Nodemailer's codes for what only an operator can fix: missing or wrong credentials, TLS that is not available. */
const SETTINGS_CODES = new Set(['EAUTH', 'ENOAUTH', 'EOAUTH2', 'ECONFIG', 'ETLS', 'EREQUIRETLS']);
/** Nodemailer's codes for a reply, or an error of its own, about this one mail. */
const MAIL_CODES = new Set(['EENVELOPE', 'EMESSAGE']);
/** Commands that open a session. */
const OPENING = /^(?:CONN|EHLO|HELO|LHLO|STARTTLS|AUTH|RSET)\b/;
/** Commands before RCPT TO: a failure here would hit every mail. */
const SESSION = /^(?:CONN|EHLO|HELO|LHLO|STARTTLS|AUTH|RSET|MAIL FROM)\b/;
/** Nodemailer's codes for a connection that failed or was lost. */
const CONNECTION_CODES = new Set(['ECONNECTION', 'ESOCKET', 'ETIMEDOUT', 'EDNS']);
/** Original codes of a connection reset or time-out within a session; an orderly close has none. */
const LOST_IN_SESSION = new Set([undefined, 'SOCKET_TIMEOUT', 'ECONNRESET', 'EPIPE']);
/** Node's errors about an untrusted certificate; nodemailer gives them the code of any socket error. */
const CERTIFICATE = /certificate|altnames|self.signed/i;
/** Amazon SES and others, when the account may not send; after RCPT TO it may be about the recipient. */
const ACCESS_DENIED = /^5\d\d[ -](?:\S+ )?Access denied/i;

/** 530 authentication required, 535 credentials invalid (RFC 4954). */
const AUTHENTICATION_REPLIES = new Set([530, 535]);
/** 503: the session was in the wrong state, the mail is not to blame (RFC 5321). */
const BAD_SEQUENCE = 503;

/**
 * Classifies a failure by its effect. Replies are those of RFC 5321 and of Amazon SES:
 * https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html
 * @param progress without a reply to transmitted content, the server may have accepted the mail.
 */
export function classifySmtpError(
  thrown: unknown,
  progress: MailProgress = 'waiting',
): MailFailure {
  const parsed = SmtpError.safeParse(thrown);
  if (!parsed.success) return new MailFailure('retry', maskPersonalData(String(thrown)));
  const error = parsed.data;
  const message = maskPersonalData(error.response || `${error.code || 'error'}: ${error.message}`);
  const effect = effectOf(error, progress);
  const hasReply = error.responseCode !== 0;
  return new MailFailure(effect, message, {
    hasReply,
    isUnclear: effect === 'refuse' && hasReply && refusedParty(error.response) === 'unclear',
    repliesToRecipient: hasReply && error.command === 'RCPT TO',
    ...(effect === 'throttle' && pauseFor(error)),
  });
}

function effectOf(error: SmtpError, progress: MailProgress): MailFailureEffect {
  const { responseCode, response } = error;
  if (responseCode === 454 && /rate exceeded|quota exceeded/i.test(response)) return 'throttle';
  if (progress === 'envelope' && isLostInSession(error)) return 'lost';
  // A second 354 says neither that the mail was taken nor that it was not.
  if (progress === 'content' && responseCode < 400) return 'unanswered';
  if (isMisconfigured(error)) return 'misconfigured';
  if (isSizeRefused(error)) return 'refuse';
  if (hasNoSession(error)) return 'unreachable';
  // Without any reply it is nodemailer's own error, about this mail.
  const isPermanent =
    responseCode === 0 ? response === '' : responseCode >= 500 && responseCode !== BAD_SEQUENCE;
  return isPermanent && MAIL_CODES.has(error.code) ? 'refuse' : 'retry';
}

function hasNoSession({ code, command, responseCode }: SmtpError): boolean {
  // A connection that is closed before the greeting has no command.
  return SESSION.test(command) || (responseCode === 0 && CONNECTION_CODES.has(code));
}

/** Nodemailer reports a connection error, but the envelope of this mail may be the cause. */
function isLostInSession({ code, command, originalCode, responseCode }: SmtpError): boolean {
  if (command !== 'CONN' || !CONNECTION_CODES.has(code)) return false;
  return responseCode === 421 || (responseCode === 0 && LOST_IN_SESSION.has(originalCode));
}

/** Whether no mail can be sent until an operator fixes something. */
function isMisconfigured(error: SmtpError): boolean {
  const { code, command, message, response, responseCode } = error;
  // A temporary failure to open a session passes, whatever nodemailer's code says.
  if (responseCode >= 400 && responseCode < 500 && (OPENING.test(command) || code === 'EAUTH'))
    return false;
  // A connection closed during the handshake may be a server that is shutting down.
  if (code === 'ETLS' && /closed unexpectedly/i.test(message)) return false;
  if (SETTINGS_CODES.has(code) || AUTHENTICATION_REPLIES.has(responseCode)) return true;
  // With a reply, the message repeats it, and with it addresses that strangers chose.
  return response === '' ? CERTIFICATE.test(message) : isSenderRefused(error);
}

/** A refused sender can send no mail at all. */
function isSenderRefused({ command, responseCode, response }: SmtpError): boolean {
  const isPermanent = responseCode >= 500;
  if (command === 'MAIL FROM' && isPermanent && responseCode !== BAD_SEQUENCE)
    return !isTooLarge(response);
  if (command !== 'RCPT TO' && ACCESS_DENIED.test(response)) return true;
  return refusedParty(response) === 'sender';
}

/** MAIL FROM announces the size, before any recipient. */
const isSizeRefused = ({ command, responseCode, response }: SmtpError): boolean =>
  command === 'MAIL FROM' && responseCode >= 500 && isTooLarge(response);

function pauseFor({ response }: SmtpError): Pick<MailFailureDetails, 'pauseMs' | 'isQuotaUsedUp'> {
  if (DAILY_QUOTA.test(response)) return { pauseMs: DAILY_QUOTA_PAUSE_MS, isQuotaUsedUp: true };
  return { pauseMs: RATE_PAUSE_MS + Math.round(Math.random() * RATE_PAUSE_JITTER_MS) };
}
