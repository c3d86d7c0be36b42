import * as z from 'zod';
import { maskPersonalData } from '../mask.js';
import { MailFailure, type MailFailureEffect, type MailProgress } from './mail.port.js';
import { subjectOf } from './reply-subject.js';

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

const DAILY_QUOTA_REST_MS = 10 * 60_000;
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
/** What Amazon SES and others say when the account may not send; to RCPT TO it is about the recipient. */
const ACCESS_DENIED = /^5\d\d[ -](?:\S+ )?Access denied/i;
/** Refusals of MAIL FROM that may be about the mail: its size (552), or the state of the session (503). */
const NOT_OF_SENDER = new Set([552, 503]);

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
  return new MailFailure(effect, message, {
    hasReply: error.responseCode !== 0,
    isUnclear:
      effect === 'refuse' && error.command === 'DATA' && subjectOf(error.response) === 'unclear',
    ...(effect === 'throttle' && { restMs: restMs(error) }),
  });
}

function effectOf(error: SmtpError, progress: MailProgress): MailFailureEffect {
  const { responseCode, response } = error;
  if (responseCode === 454 && /rate exceeded|quota exceeded/i.test(response)) return 'throttle';
  if (progress === 'named' && isLostInSession(error)) return 'lost';
  if (progress === 'content' && responseCode === 0) return 'unanswered';
  if (isSettingsFault(error)) return 'misconfigured';
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
  if (command === 'MAIL FROM' && isPermanent && !NOT_OF_SENDER.has(responseCode)) return true;
  if (command !== 'RCPT TO' && ACCESS_DENIED.test(response)) return true;
  return subjectOf(response) === 'sender';
}

function restMs({ response }: SmtpError): number {
  if (/daily/i.test(response)) return DAILY_QUOTA_REST_MS;
  return RATE_REST_MS + Math.round(Math.random() * RATE_REST_JITTER_MS);
}
