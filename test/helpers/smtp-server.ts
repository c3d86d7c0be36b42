import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import type { Socket } from 'node:net';
import {
  SMTPServer,
  type SMTPServerAddress,
  type SMTPServerOptions,
  type SMTPServerSession,
} from 'smtp-server';
import type { Scope } from './context.js';

/** A mail as it came over the wire. */
export interface WireMail {
  readonly from: string;
  readonly to: readonly string[];
  /** Headers and body, undecoded. */
  readonly source: string;
}

/** How the server answers: taken, refused with this line, connection cut, or no answer at all. */
export type SmtpAnswer = 'take' | { readonly code: number; readonly text: string } | 'cut' | 'hang';

/** An answer that is given when the test says so. */
export function heldAnswer(): { answer: Promise<SmtpAnswer>; give(answer: SmtpAnswer): void } {
  let give: (answer: SmtpAnswer) => void = () => undefined;
  const answer = new Promise<SmtpAnswer>((resolve) => {
    give = resolve;
  });
  return { answer, give: (given) => give(given) };
}

/** How the server behaves. A promise delays the answer. */
export interface SmtpBehaviour {
  /** Answers DATA, once the whole mail is there. `count` is 1 for the first mail. */
  readonly onMail?: (mail: WireMail, count: number) => SmtpAnswer | Promise<SmtpAnswer>;
  /** Answers RCPT TO. */
  readonly onRecipient?: (address: string) => SmtpAnswer | Promise<SmtpAnswer>;
  readonly server?: SMTPServerOptions;
}

/** A mail server of the test's own, for what the shared one does not do: fail. */
export interface TestSmtpServer {
  readonly host: string;
  readonly port: number;
  /** The environment that points a worker at it. */
  readonly env: Record<string, string>;
  /** Mails whose DATA was answered with 250. */
  readonly taken: readonly WireMail[];
  /** Mails whose DATA came in whole, whatever the answer. */
  readonly received: readonly WireMail[];
  close(): Promise<void>;
}

/** Opens an SMTP server on a free loopback port; it closes with the scope. */
export async function openSmtpServer(
  scope: Scope,
  { onMail = () => 'take', onRecipient = () => 'take', server: options = {} }: SmtpBehaviour = {},
): Promise<TestSmtpServer> {
  const taken: WireMail[] = [];
  const received: WireMail[] = [];

  const server = new SMTPServer({
    authOptional: true,
    // Without it the server warns of its own certificate on stderr, where tests offer TLS.
    logger: false,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 100,
    onRcptTo: ({ address }, session, callback) => {
      reply(async () => onRecipient(address), session, callback);
    },
    onData: (stream, session, callback) => {
      const receive = async (): Promise<SmtpAnswer> => {
        const { mailFrom, rcptTo } = session.envelope;
        const mail = {
          from: addressOf(mailFrom),
          to: rcptTo.map(addressOf),
          source: await text(stream),
        };
        const count = received.push(mail);
        const answer = await onMail(mail, count);
        if (answer === 'take') taken.push(mail);
        return answer;
      };
      reply(receive, session, callback);
    },
    ...options,
  });
  // A client that hangs up in the middle is part of the tests.
  server.on('error', () => undefined);

  const sockets = new Map<number | undefined, Socket>();
  server.server.on('connection', (socket: Socket) => {
    sockets.set(socket.remotePort, socket);
    socket.once('close', () => sockets.delete(socket.remotePort));
  });

  const reply = (
    decide: () => Promise<SmtpAnswer>,
    { remotePort }: SMTPServerSession,
    respond: Respond,
  ): void => {
    decide().then((answer) => {
      if (answer === 'take') respond();
      else if (answer === 'cut') sockets.get(remotePort)?.destroy();
      else if (answer !== 'hang')
        respond(Object.assign(new Error(answer.text), { responseCode: answer.code }));
    }, respond);
  };

  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const address = server.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closing ??= new Promise((resolve) => {
      server.close(resolve);
    }));
  scope.teardown(close);
  return {
    host: '127.0.0.1',
    port,
    env: { MAIL_HOST: '127.0.0.1', MAIL_PORT: String(port) },
    taken,
    received,
    close,
  };
}

type Respond = (error?: Error | null) => void;

const addressOf = (given: SMTPServerAddress | false): string =>
  given === false ? '' : given.address;
