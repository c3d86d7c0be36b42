import { Readable } from 'node:stream';
import type MailMessage from 'nodemailer/lib/mailer/mail-message';
import SMTPPool, { type SMTPPoolSentMessageInfo } from 'nodemailer/lib/smtp-pool';
import * as z from 'zod';
import type { WorkerConfig } from '../../../shared/config/config.js';
import { parseEmailAddress } from '../../../shared/identity/email-address.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { maskError, maskPersonalData } from '../../../shared/logging/mask.js';
import { classifySmtpError } from './smtp-failures.js';
import { buildMimeMessage } from './mime-message.js';
import { MailFailure, type Mailer, type OutgoingMail, type SendOptions } from '../mail.port.js';
import {
  beginContent,
  beginEnvelope,
  endSendAttempt,
  startSendAttempt,
  type SendAttempt,
  type SmtpTimeouts,
} from './send-attempt.js';

export type MailConfig = WorkerConfig['mail'];

export const defaultTimeouts: SmtpTimeouts = {
  connectMs: 10_000,
  greetingMs: 10_000,
  sendMs: 28_000,
  // RFC 5321, 4.5.3.2.6: content filters run before the server replies.
  answerMs: 10 * 60_000,
  // Leaves time before the worker's stop deadline to record the mail as unanswered.
  answerAfterAbortMs: 1_500,
};

/** A generous estimate of the time that a mail takes with a distant server. */
const USUAL_SEND_MS = 350;
const MAX_CONNECTIONS = 20;
/** Amazon SES closes long-lived connections: closing them between mails loses none. */
const MAX_MAILS_PER_CONNECTION = 100;
const TRACE_ID = /^[0-9a-f]{32}$/;
const MAX_REPLY_BYTES = 16 * 1_024;

/**
 * The number of connections, each of which sends one mail at a time: as configured, or enough for the rate. The fewer there
 * are, the fewer mails are sent twice if this process dies.
 */
export const smtpConnections = ({
  connections,
  ratePerSecond,
}: Pick<MailConfig, 'ratePerSecond' | 'connections'>): number =>
  connections ?? Math.min(Math.ceil((ratePerSecond * USUAL_SEND_MS) / 1_000), MAX_CONNECTIONS);

/** How many mails a worker sends per second at most, by the time that a mail is assumed to take. */
export const mailsPerSecond = (config: Pick<MailConfig, 'ratePerSecond' | 'connections'>): number =>
  smtpConnections(config) / (USUAL_SEND_MS / 1_000);

const SentInfo = z.object({ response: z.string() });

/**
 * Sends over pooled SMTP connections. With `starttls` a server that does not offer it gets no mail; certificates are
 * always verified. Recipients come from the envelope only, whatever a name may contain.
 */
export function openSmtpMailer(
  config: MailConfig,
  log: Logger,
  timeouts: SmtpTimeouts = defaultTimeouts,
): Mailer {
  const smtp: Smtp = { config, timeouts, pool: openPool(config, timeouts, log) };
  return {
    send: (mail, signal, options = {}) => sendMail(smtp, mail, signal, options),
    close: async () => smtp.pool.close({ force: true }),
  };
}

interface Smtp {
  readonly config: MailConfig;
  readonly timeouts: SmtpTimeouts;
  readonly pool: SMTPPool;
}

async function sendMail(
  { config, timeouts, pool }: Smtp,
  mail: OutgoingMail,
  signal: AbortSignal,
  options: SendOptions,
) {
  const address = parseEmailAddress(mail.to.address)?.address;
  if (address === undefined)
    throw new MailFailure('refuse', 'the address is not one that mail can be sent to');
  const attempt = startSendAttempt(timeouts, signal, options);
  try {
    attempt.controller.signal.throwIfAborted();
    const info = await sendInPool(
      pool,
      pooledMail(config, { ...mail, to: { name: mail.to.name, address } }, attempt),
    );
    const { response } = SentInfo.parse(info);
    return { response: maskPersonalData(response), providerId: providerIdIn(response) };
  } catch (error) {
    const failure = attempt.endedBy ?? classifySmtpError(error, attempt.progress);
    // A reply that comes before its turn ends the attempt, but nodemailer still transmits the content once that is permitted.
    attempt.controller.abort();
    throw failure;
  } finally {
    endSendAttempt(attempt);
  }
}

function openPool(config: MailConfig, timeouts: SmtpTimeouts, log: Logger): SMTPPool {
  const { host, port, tls, credentials } = config;
  const pool = new SMTPPool({
    maxConnections: smtpConnections(config),
    maxMessages: MAX_MAILS_PER_CONNECTION,
    host,
    port,
    ...(config.ehloName !== undefined && { name: config.ehloName }),
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    ...(credentials && { auth: { user: credentials.username, pass: credentials.password } }),
    connectionTimeout: timeouts.connectMs,
    greetingTimeout: timeouts.greetingMs,
    // For the whole session: until the content is transmitted, each attempt has a shorter time-out of its own.
    socketTimeout: timeouts.answerMs,
    maxResponseSize: MAX_REPLY_BYTES,
  });
  pool.on('error', (error) => log.warn({ err: maskError(error) }, 'SMTP connection error'));
  return pool;
}

const sendInPool = (pool: SMTPPool, mail: PooledMail): Promise<SMTPPoolSentMessageInfo> =>
  new Promise((resolve, reject) => {
    // The pool uses no more of a message than this.
    pool.send(mail as unknown as MailMessage<SMTPPoolSentMessageInfo>, (error, info) => {
      if (info) resolve(info);
      else reject(error ?? new Error('the pool reported no result'));
    });
  });

/** What nodemailer's pool reads of a mail. */
interface PooledMail {
  readonly data: { readonly signal: AbortSignal };
  readonly message: {
    getEnvelope(): { readonly from: string; readonly to: string[] };
    messageId(): string;
    getHeader(name: 'message-id'): string;
    /** Called with the session open, right before MAIL FROM, and again if the connection ended before any content was read. */
    createReadStream(): Readable;
  };
}

function pooledMail(
  { from, configurationSet }: MailConfig,
  { id, traceId, to, subject, text, html }: OutgoingMail,
  attempt: SendAttempt,
): PooledMail {
  const messageId = `<${id}@${domainOf(from.address)}>`;
  const content = buildMimeMessage({
    ...{ id, messageId, from, to, subject, text, html },
    date: new Date(),
    headers: {
      // RFC 3834: keeps auto-responders from replying.
      'Auto-Submitted': 'auto-generated',
      // Exchange knows only its own header ([MS-OXCMAIL], 2.1.3.2.20). Reports of failed delivery are wanted.
      'X-Auto-Response-Suppress': 'OOF, AutoReply',
      // SES and others pass headers on that they do not know. Old rows may have other ids.
      ...(traceId !== undefined && TRACE_ID.test(traceId) && { 'X-Trace-Id': traceId }),
      ...(configurationSet !== undefined && {
        'X-SES-CONFIGURATION-SET': configurationSet,
        'X-SES-MESSAGE-TAGS': `outbox_id=${id}`,
      }),
    },
  });
  return {
    data: { signal: attempt.controller.signal },
    message: {
      getEnvelope: () => ({ from: from.address, to: [to.address] }),
      messageId: () => messageId,
      getHeader: () => messageId,
      createReadStream() {
        beginEnvelope(attempt);
        return withhold(content, () => beginContent(attempt));
      },
    },
  };
}

/** The content once `permission` resolves: nodemailer begins to read it when the server is ready for it. */
function withhold(content: Buffer, permission: () => Promise<void>): Readable {
  return new Readable({
    read() {
      permission().then(
        () => {
          this.push(content);
          this.push(null);
        },
        (error: unknown) => this.destroy(error instanceof Error ? error : new Error(String(error))),
      );
    },
  });
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);

/** The id in `250 Ok 0100…` of Amazon SES and in `250 2.0.0 Ok: queued as 4XYZ` of Postfix. */
function providerIdIn(response: string): string | undefined {
  return (
    /^250 Ok ([\w-]{8,})$/i.exec(response.trim())?.[1] ?? /queued as ([\w.-]+)/i.exec(response)?.[1]
  );
}
