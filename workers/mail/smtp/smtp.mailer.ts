import { Readable } from 'node:stream';
import { createTransport } from 'nodemailer';
import * as z from 'zod';
import type { WorkerConfig } from '../../../shared/config/config.js';
import { parseEmailAddress } from '../../../shared/identity/email-address.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { maskError, maskPersonalData } from '../../mask.js';
import { classifySmtpError } from './smtp-failures.js';
import {
  MailFailure,
  type Mailer,
  type MailProgress,
  type OutgoingMail,
  type SendOptions,
} from '../mail.port.js';

type ConfiguredMail = WorkerConfig['mail'];
type OptionalSetting = 'connections' | 'ehloName';

/** Where mails go and how, as the configuration gives it. */
export type MailConfig = Omit<ConfiguredMail, OptionalSetting> &
  Partial<Pick<ConfiguredMail, OptionalSetting>>;

/** How long the server may take. */
export interface SmtpTimeouts {
  readonly connectMs: number;
  readonly greetingMs: number;
  /** Everything until the content is handed over, waiting for a connection included. */
  readonly sendMs: number;
  /** The content, and the answer to it: what is given up here may have been sent. */
  readonly answerMs: number;
  /** The answer, once the mail is to be taken back. */
  readonly answerAfterTakeBackMs: number;
}

/** How long a server may take unless set otherwise. */
export const timeouts: SmtpTimeouts = {
  connectMs: 10_000,
  greetingMs: 10_000,
  sendMs: 28_000,
  // RFC 5321, 4.5.3.2.6: filters look at the mail before they answer.
  answerMs: 10 * 60_000,
  // Leaves the worker's stop time to record that nobody knows.
  answerAfterTakeBackMs: 1_500,
};

/** Milliseconds that a mail takes with a server that is not near, generously. */
const USUAL_SEND_MS = 350;
const MAX_CONNECTIONS = 20;
/** Amazon SES closes long-lived connections; better we do. */
const MAX_MAILS_PER_CONNECTION = 100;
const MAX_REPLY_BYTES = 16 * 1_024;

/**
 * How many connections, and so mails at once: those that are set, or enough for the rate. One mail more would wait for a
 * connection at the cost of its time to send; and the fewer are under way, the fewer are sent twice if this process dies.
 */
export const smtpConnections = ({
  connections,
  ratePerSecond,
}: Pick<MailConfig, 'ratePerSecond' | 'connections'>): number =>
  connections ?? Math.min(Math.ceil((ratePerSecond * USUAL_SEND_MS) / 1_000), MAX_CONNECTIONS);

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
    async send(mail, signal, options = {}) {
      if (parseEmailAddress(mail.to.address) === undefined) {
        throw new MailFailure('refuse', 'the address is not one that mail can be sent to');
      }
      const messageId = `<${mail.id}@${domainOf(config.from.address)}>`;
      const attempt = startAttempt(limits, signal, options);
      const unfollow = follow(messageId, attempt);
      try {
        const info = await transport.sendMail({
          ...envelopeAndContent(config, mail),
          messageId,
          signal: attempt.signal,
        });
        const { response } = SentInfo.parse(info);
        return { response: maskPersonalData(response), providerId: providerIdIn(response) };
      } catch (error) {
        throw attempt.endedBy() ?? classifySmtpError(error, attempt.progress());
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
    ...(config.ehloName !== undefined && { name: config.ehloName }),
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    tls: { rejectUnauthorized: true, minVersion: 'TLSv1.2' },
    ...(credentials && { auth: { user: credentials.username, pass: credentials.password } }),
    connectionTimeout: limits.connectMs,
    greetingTimeout: limits.greetingMs,
    // It holds for the whole session: until the content is handed over, attempts have a shorter time of their own.
    socketTimeout: limits.answerMs,
    maxResponseSize: MAX_REPLY_BYTES,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  transport.on('error', (error) => log.warn({ err: maskError(error) }, 'SMTP connection error'));
  return transport;
}

/** Follows the mails by their `Message-ID`. What it returns begins to follow one, and returns what ends that. */
function followProgress(
  transport: ReturnType<typeof openTransport>,
): (messageId: string, attempt: Attempt) => () => void {
  const followed = new Map<string, Attempt>();
  transport.use('stream', (mail, done) => {
    const attempt = followed.get(mail.data.messageId ?? '');
    mail.message.processFunc((content) => {
      // Asked for with the session open, right before the mail is named in it.
      attempt?.named();
      return heldBack(content, async () => attempt?.beforeContent());
    });
    done();
  });
  return (messageId, attempt) => {
    followed.set(messageId, attempt);
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

const effectOfSilence = { waiting: 'unreachable', named: 'lost', content: 'unanswered' } as const;

type Attempt = ReturnType<typeof startAttempt>;

/** One try to send: ends by itself when it takes too long, or when the caller takes the mail back in time. */
function startAttempt(
  { sendMs, answerMs, answerAfterTakeBackMs }: SmtpTimeouts,
  takeBack: AbortSignal,
  { withinMs = sendMs, onSession, beforeContent = async () => undefined }: SendOptions,
) {
  const controller = new AbortController();
  let progress: MailProgress = 'waiting';
  let endedBy: Error | undefined;
  let timer: NodeJS.Timeout | undefined;
  let permission: Promise<void> | undefined;

  const fail = (reason: Error): void => {
    endedBy ??= reason;
    controller.abort();
  };
  const giveUpAfter = (ms: number): void => {
    clearTimeout(timer);
    timer = setTimeout(
      () =>
        fail(new MailFailure(effectOfSilence[progress], `no answer within ${Math.ceil(ms)} ms`)),
      ms,
    );
  };
  const onTakeBack = (): void => {
    if (progress === 'content') giveUpAfter(answerAfterTakeBackMs);
    else fail(new MailFailure('abort', 'taken back before the server had it'));
  };
  giveUpAfter(Math.min(sendMs, withinMs));
  takeBack.addEventListener('abort', onTakeBack);
  if (takeBack.aborted) onTakeBack();
  return {
    signal: controller.signal,
    /** Why it was ended from here, if it was. */
    endedBy: () => endedBy,
    progress: () => progress,
    named(): void {
      progress = 'named';
      onSession?.();
    },
    /** Resolves when the content may go. Asked again by nodemailer if the connection ended meanwhile. */
    async beforeContent(): Promise<void> {
      controller.signal.throwIfAborted();
      try {
        await (permission ??= beforeContent());
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)));
      }
      // From here to the first byte nothing is waited for.
      controller.signal.throwIfAborted();
      progress = 'content';
      giveUpAfter(answerMs);
    },
    end(): void {
      clearTimeout(timer);
      takeBack.removeEventListener('abort', onTakeBack);
    },
  };
}

/** The same content, held back until it may go: SMTP begins to read it when the server has agreed to take it. */
function heldBack(content: Readable, mayGo: () => Promise<void>): Readable {
  return Readable.from(
    (async function* read() {
      await mayGo();
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
