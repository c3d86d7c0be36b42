import * as z from 'zod';
import { maskPersonalData } from '../mask.js';
import {
  MailFailure,
  type MailFailureDetails,
  type MailFailureEffect,
  type MailProgress,
} from './mail.port.js';
import { isTooLarge, subjectOf } from './reply-subject.js';

/** What nodemailer tells about a failure: its own code, and the server's reply if there was one. */
const SmtpError = z.object({
  message: z.string(),
  code: z.string().catch(''),
  command: z.string().catch(''),
  /** 0 without a reply. */
  responseCode: z.int().catch(0),
  response: z.string().catch(''),
  originalCode: z.string().optional().catch(undefined),
});
type SmtpError = z.output<typeof SmtpError>;

/** Shorter than the five minutes without a try after which readiness reports an outbox that nobody works on. */
const DAILY_QUOTA_REST_MS = 4 * 60_000;
const DAILY_QUOTA = /daily (?:\w{1,20} )?quota/i;
const RATE_REST_MS = 1_000;
const RATE_REST_JITTER_MS = 500;

/** Nodemailer's codes for what only an operator can mend: missing or wrong credentials, TLS that cannot be had. */
const SETTINGS_CODES = new Set(['EAUTH', 'ENOAUTH', 'EOAUTH2', 'ECONFIG', 'ETLS', 'EREQUIRETLS']);
/** Nodemailer's codes for a reply, or a fault of its own, that is about this one mail. */
const MAIL_CODES = new Set(['EENVELOPE', 'EMESSAGE']);
/** What opens a session. */
const OPENING = /^(?:CONN|EHLO|HELO|LHLO|STARTTLS|AUTH|RSET)\b/;
/** What comes before a recipient is named: whoever fails here fails with every mail. */
const SESSION = /^(?:CONN|EHLO|HELO|LHLO|STARTTLS|AUTH|RSET|MAIL FROM)\b/;
/** Nodemailer's codes for a connection that cannot be had, or is no more. */
const CONNECTION_CODES = new Set(['ECONNECTION', 'ESOCKET', 'ETIMEDOUT', 'EDNS']);
/** What nodemailer keeps of a hang-up or a silence in the middle of a session; nothing for an orderly close. */
const LOST_IN_SESSION = new Set([undefined, 'SOCKET_TIMEOUT', 'ECONNRESET', 'EPIPE']);
/** How Node tells of a certificate that it does not trust; nodemailer gives it the code of any socket's error. */
const CERTIFICATE = /certificate|altnames|self.signed/i;
/** What Amazon SES and others say when the account may not send; to RCPT TO it may be about the recipient. */
const ACCESS_DENIED = /^5\d\d[ -](?:\S+ )?Access denied/i;

/** 530 authentication required, 535 credentials invalid (RFC 4954). */
const AUTHENTICATION_REPLIES = new Set([530, 535]);
/** 503: the session was in the wrong state, the mail is not to blame (RFC 5321). */
const BAD_SEQUENCE = 503;

/**
 * Reads what a failure means for the next try. Replies are those of RFC 5321 and of Amazon SES:
 * https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html
 * @param progress with the content handed over and no reply, the server may have the mail.
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
    isUnclear: effect === 'refuse' && hasReply && subjectOf(error.response) === 'unclear',
    ...(effect === 'throttle' && restOf(error)),
  });
}

function effectOf(error: SmtpError, progress: MailProgress): MailFailureEffect {
  const { responseCode, response } = error;
  if (responseCode === 454 && /rate exceeded|quota exceeded/i.test(response)) return 'throttle';
  if (progress === 'named' && isLostInSession(error)) return 'lost';
  // A second 354 says neither that the mail was taken nor that it was not.
  if (progress === 'content' && responseCode < 400) return 'unanswered';
  if (isSettingsFault(error)) return 'misconfigured';
  if (isSizeRefused(error)) return 'refuse';
  if (isSessionNotHad(error)) return 'unreachable';
  const isPermanent = responseCode === 0 || (responseCode >= 500 && responseCode !== BAD_SEQUENCE);
  return isPermanent && MAIL_CODES.has(error.code) ? 'refuse' : 'retry';
}

function isSessionNotHad({ code, command, responseCode }: SmtpError): boolean {
  // Who is hung up on before the greeting is told no command.
  return SESSION.test(command) || (responseCode === 0 && CONNECTION_CODES.has(code));
}

/** Nodemailer calls it a fault of the connection, but it may be about the mail that was being named. */
function isLostInSession({ code, command, originalCode, responseCode }: SmtpError): boolean {
  if (command !== 'CONN' || !CONNECTION_CODES.has(code)) return false;
  return responseCode === 421 || (responseCode === 0 && LOST_IN_SESSION.has(originalCode));
}

/** Whether no mail can go until an operator mends something. */
function isSettingsFault(error: SmtpError): boolean {
  const { code, command, message, responseCode } = error;
  // A session that cannot be opened now is a matter of time, whatever nodemailer calls it.
  if (responseCode >= 400 && responseCode < 500 && (OPENING.test(command) || code === 'EAUTH'))
    return false;
  // Whoever hangs up during the handshake may just be going away.
  if (code === 'ETLS' && /closed unexpectedly/i.test(message)) return false;
  if (SETTINGS_CODES.has(code) || AUTHENTICATION_REPLIES.has(responseCode)) return true;
  // With a reply, the message repeats it, and any address in it.
  return responseCode === 0 ? CERTIFICATE.test(message) : isSenderRefused(error);
}

/** Who may not send as this sender may not send any mail. */
function isSenderRefused({ command, responseCode, response }: SmtpError): boolean {
  const isPermanent = responseCode >= 500;
  if (command === 'MAIL FROM' && isPermanent && responseCode !== BAD_SEQUENCE)
    return !isTooLarge(response);
  if (command !== 'RCPT TO' && ACCESS_DENIED.test(response)) return true;
  return subjectOf(response) === 'sender';
}

/** The size is told to the server with the sender, before any recipient. */
const isSizeRefused = ({ command, responseCode, response }: SmtpError): boolean =>
  command === 'MAIL FROM' && responseCode >= 500 && isTooLarge(response);

function restOf({ response }: SmtpError): Pick<MailFailureDetails, 'pauseMs' | 'isQuotaUsedUp'> {
  if (DAILY_QUOTA.test(response)) return { pauseMs: DAILY_QUOTA_REST_MS, isQuotaUsedUp: true };
  return { pauseMs: RATE_REST_MS + Math.round(Math.random() * RATE_REST_JITTER_MS) };
}
