import { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import * as z from 'zod';
import type { WorkerConfig } from '../../../shared/config/config.js';
import { parseEmailAddress } from '../../../shared/identity/email-address.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { maskError, maskPersonalData } from '../../mask.js';
import { classifySmtpError } from './smtp-failures.js';
import { MailFailure, type Mailer, type OutgoingMail, type SendOptions } from '../mail.port.js';
import {
  beginContent,
  beginEnvelope,
  endSendAttempt,
  startSendAttempt,
  type SendAttempt,
  type SmtpTimeouts,
} from './send-attempt.js';

type ConfiguredMail = WorkerConfig['mail'];
type OptionalSetting = 'connections' | 'ehloName';

export type MailConfig = Omit<ConfiguredMail, OptionalSetting> &
  Partial<Pick<ConfiguredMail, OptionalSetting>>;

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
const MAX_REPLY_BYTES = 16 * 1_024;

/**
 * The number of connections, which is also the number of mails in flight: as configured, or enough for the rate. More
 * mails than connections would spend their time-out waiting; and the fewer are in flight, the fewer are sent twice if this
 * process dies.
 */
export const smtpConnections = ({
  connections,
  ratePerSecond,
}: Pick<MailConfig, 'ratePerSecond' | 'connections'>): number =>
  connections ?? Math.min(Math.ceil((ratePerSecond * USUAL_SEND_MS) / 1_000), MAX_CONNECTIONS);

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
  const smtp: Smtp = {
    config,
    timeouts,
    transport: openTransport(config, timeouts, log),
    attempts: new Map(),
  };
  trackProgress(smtp);
  return {
    send: (mail, signal, options = {}) => sendMail(smtp, mail, signal, options),
    close: async () => smtp.transport.close({ force: true }),
  };
}

interface Smtp {
  readonly config: MailConfig;
  readonly timeouts: SmtpTimeouts;
  readonly transport: ReturnType<typeof openTransport>;
  /** Attempts in flight, by `Message-ID`. */
  readonly attempts: Map<string, SendAttempt>;
}

async function sendMail(
  { config, timeouts, transport, attempts }: Smtp,
  mail: OutgoingMail,
  signal: AbortSignal,
  options: SendOptions,
) {
  if (parseEmailAddress(mail.to.address) === undefined)
    throw new MailFailure('refuse', 'the address is not one that mail can be sent to');
  const messageId = `<${mail.id}@${domainOf(config.from.address)}>`;
  const attempt = startSendAttempt(timeouts, signal, options);
  attempts.set(messageId, attempt);
  try {
    const info = await transport.sendMail({
      ...envelopeAndContent(config, mail),
      messageId,
      signal: attempt.controller.signal,
    });
    const { response } = SentInfo.parse(info);
    return { response: maskPersonalData(response), providerId: providerIdIn(response) };
  } catch (error) {
    throw attempt.endedBy ?? classifySmtpError(error, attempt.progress);
  } finally {
    attempts.delete(messageId);
    endSendAttempt(attempt);
  }
}

function openTransport(config: MailConfig, timeouts: SmtpTimeouts, log: Logger) {
  const { host, port, tls, credentials } = config;
  const transport = createTransport({
    pool: true,
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
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  transport.on('error', (error) => log.warn({ err: maskError(error) }, 'SMTP connection error'));
  return transport;
}

/** Tells each attempt how far its mail has come, and withholds the content until it may be transmitted. */
function trackProgress({ transport, attempts }: Smtp): void {
  transport.use('stream', (mail, done) => {
    const attempt = attempts.get(mail.data.messageId ?? '');
    mail.message.processFunc((content) => {
      // Called with the session open, right before MAIL FROM.
      if (attempt) beginEnvelope(attempt);
      return withhold(content, async () => attempt && beginContent(attempt));
    });
    done();
  });
}

function envelopeAndContent(
  { from, configurationSet }: MailConfig,
  { id, to, subject, text, html }: OutgoingMail,
) {
  return {
    envelope: { from: from.address, to: [to.address] },
    from,
    to,
    subject,
    text,
    html,
    date: new Date(),
    headers: {
      // RFC 3834: keeps auto-responders from replying.
      'Auto-Submitted': 'auto-generated',
      ...(configurationSet !== undefined && {
        'X-SES-CONFIGURATION-SET': configurationSet,
        'X-SES-MESSAGE-TAGS': `outbox_id=${id}`,
      }),
    },
  };
}

/** The same content once `permission` resolves: nodemailer begins to read it when the server is ready for it. */
function withhold(content: Readable, permission: () => Promise<void>): Readable {
  return Readable.from(
    (async function* read() {
      await permission();
      yield* content as AsyncIterable<Buffer>;
    })(),
    { objectMode: false },
  );
}

const domainOf = (address: string): string => address.slice(address.lastIndexOf('@') + 1);

/** The id in `250 Ok 0100…` of Amazon SES and in `250 2.0.0 Ok: queued as 4XYZ` of Postfix. */
function providerIdIn(response: string): string | undefined {
  return (
    /^250 Ok ([\w-]{8,})$/i.exec(response.trim())?.[1] ?? /queued as ([\w.-]+)/i.exec(response)?.[1]
  );
}
