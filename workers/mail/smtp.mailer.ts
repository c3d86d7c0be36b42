import { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import * as z from 'zod';
import type { WorkerConfig } from '../../shared/config/config.js';
import { parseEmailAddress } from '../../shared/identity/email-address.js';
import type { Logger } from '../../shared/logging/logger.js';
import { maskError, maskPersonalData } from '../mask.js';
import { classifySmtpError, type MailProgress } from './mail-failures.js';
import { MailFailure, type Mailer, type OutgoingMail } from './mail.port.js';

/** Where mails go and how, as the configuration gives it. */
export type MailConfig = WorkerConfig['mail'];

/** How long the server may take. */
export interface SmtpTimeouts {
  readonly connectMs: number;
  readonly greetingMs: number;
  /** Silence in the middle of a session. */
  readonly silenceMs: number;
  /** The whole of it, waiting for a connection included. */
  readonly sendMs: number;
}

const timeouts: SmtpTimeouts = {
  connectMs: 10_000,
  greetingMs: 10_000,
  silenceMs: 25_000,
  sendMs: 28_000,
};

/** Milliseconds that a mail takes with a server that is not near, generously. */
const USUAL_SEND_MS = 350;
const MAX_CONNECTIONS = 20;
/** Amazon SES closes long-lived connections; better we do. */
const MAX_MAILS_PER_CONNECTION = 100;
const MAX_REPLY_BYTES = 16 * 1_024;

/**
 * How many connections, and so mails at once, are enough for the rate. One mail more would wait for a connection at the
 * cost of its time to send; and the fewer are under way, the fewer are sent twice if this process dies.
 */
export const smtpConnections = ({ ratePerSecond }: Pick<MailConfig, 'ratePerSecond'>): number =>
  Math.min(Math.ceil((ratePerSecond * USUAL_SEND_MS) / 1_000), MAX_CONNECTIONS);

const SentInfo = z.object({ response: z.string() });

/**
 * Sends over pooled SMTP connections. With `starttls` a server that does not offer it gets no mail; certificates are
 * always checked. Recipients are the envelope's alone, whatever a name may contain.
 */
export function openSmtpMailer(
  config: MailConfig,
  log: Logger,
  limits: SmtpTimeouts = timeouts,
): Mailer {
  const transport = openTransport(config, limits, log);
  const follow = followProgress(transport);
  return {
    async send(mail, signal, withinMs = limits.sendMs) {
      if (parseEmailAddress(mail.to.address) === undefined) {
        throw new MailFailure('refuse', 'the address is not one that mail can be sent to');
      }
      const messageId = `<${mail.id}@${domainOf(config.from.address)}>`;
      const attempt = startAttempt(Math.min(limits.sendMs, withinMs), signal);
      const unfollow = follow(messageId, attempt.advance);
      try {
        const info = await transport.sendMail({
          ...envelopeAndContent(config, mail),
          messageId,
          signal: attempt.signal,
        });
        const { response } = SentInfo.parse(info);
        return { response: maskPersonalData(response), providerId: providerIdIn(response) };
      } catch (error) {
        throw attempt.reason() ?? classifySmtpError(error, attempt.progress());
      } finally {
        unfollow();
        attempt.end();
      }
    },
    async close() {
      transport.close({ force: true });
    },
  };
}

function openTransport(config: MailConfig, limits: SmtpTimeouts, log: Logger) {
  const { host, port, tls, credentials } = config;
  const transport = createTransport({
    pool: true,
    maxConnections: smtpConnections(config),
    maxMessages: MAX_MAILS_PER_CONNECTION,
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    ...(credentials && { auth: { user: credentials.username, pass: credentials.password } }),
    connectionTimeout: limits.connectMs,
    greetingTimeout: limits.greetingMs,
    socketTimeout: limits.silenceMs,
    maxResponseSize: MAX_REPLY_BYTES,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  transport.on('error', (error) =>
    log.warn({ err: maskError(error) }, 'an SMTP connection failed'),
  );
  return transport;
}

/** Watches how far the mails come. What it returns follows one, by its `Message-ID`, and returns what ends that. */
function followProgress(
  transport: ReturnType<typeof openTransport>,
): (messageId: string, advance: (progress: MailProgress) => void) => () => void {
  const followed = new Map<string, (progress: MailProgress) => void>();
  transport.use('stream', (mail, done) => {
    const messageId = mail.data.messageId ?? '';
    mail.message.processFunc((content) => {
      // Asked for with the session open, right before the mail is named in it.
      followed.get(messageId)?.('named');
      return tellWhenRead(content, () => followed.get(messageId)?.('content'));
    });
    done();
  });
  return (messageId, advance) => {
    followed.set(messageId, advance);
    return () => void followed.delete(messageId);
  };
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
      // RFC 3834: keeps vacation notices from answering.
      'Auto-Submitted': 'auto-generated',
      ...(configurationSet !== undefined && {
        'X-SES-CONFIGURATION-SET': configurationSet,
        'X-SES-MESSAGE-TAGS': `outbox_id=${id}`,
      }),
    },
  };
}

const effectOfSilence = { waiting: 'unreachable', named: 'lost', content: 'retry' } as const;

/** One try to send: ends by itself when it takes too long, or when the caller takes the mail back in time. */
function startAttempt(sendMs: number, takeBack: AbortSignal) {
  const controller = new AbortController();
  let progress: MailProgress = 'waiting';
  let failure: MailFailure | undefined;
  const end = (reason: MailFailure): void => {
    failure ??= reason;
    controller.abort();
  };
  const onTakeBack = (): void => {
    if (progress !== 'content')
      end(new MailFailure('abort', 'taken back before the server had it'));
  };
  const timer = setTimeout(
    () =>
      end(new MailFailure(effectOfSilence[progress], `not taken within ${Math.ceil(sendMs)} ms`)),
    sendMs,
  );
  takeBack.addEventListener('abort', onTakeBack);
  if (takeBack.aborted) onTakeBack();
  return {
    signal: controller.signal,
    /** Why it was ended from here, if it was. */
    reason: () => failure,
    advance: (reached: MailProgress) => {
      progress = reached;
    },
    progress: () => progress,
    end: () => {
      clearTimeout(timer);
      takeBack.removeEventListener('abort', onTakeBack);
    },
  };
}

/** The same content; tells when somebody begins to read it, which SMTP does when the server has agreed to take it. */
function tellWhenRead(content: Readable, onRead: () => void): Readable {
  return Readable.from(
    (async function* read() {
      onRead();
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
