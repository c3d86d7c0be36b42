import { once } from 'node:events';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { claimPort, loopback } from '../stack/processes/ports.js';

/** A mail server that counts the mails it has accepted, and whose outages can be simulated. */
export interface MailSink {
  readonly host: string;
  readonly port: number;
  /** How often each mail was accepted, by its Message-ID: the id of the outbox message. */
  readonly received: ReadonlyMap<string, number>;
  /** The addresses that got at least one mail. */
  readonly recipients: ReadonlySet<string>;
  /** Cuts every connection and refuses new ones. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the sink on a free port of loopback. */
export async function openMailSink(): Promise<MailSink> {
  const claim = await claimPort(0);
  const received = new Map<string, number>();
  const recipients = new Set<string>();
  const sockets = new Set<Socket>();
  let server: SMTPServer | undefined;

  const start = async (): Promise<void> => {
    if (server) return;
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      disableReverseLookup: true,
      closeTimeout: 1,
      onData(stream, { envelope }, respond) {
        text(stream).then((source) => {
          const id = /^Message-ID: <([^@>\s]+)@/im.exec(source)?.[1] ?? 'without an id';
          received.set(id, (received.get(id) ?? 0) + 1);
          for (const { address } of envelope.rcptTo) recipients.add(address);
          respond();
        }, respond);
      },
    });
    // Clients are killed in the middle of a mail: that is what the run is about.
    server.on('error', () => undefined);
    server.server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.listen(claim.port, loopback);
    await once(server.server, 'listening');
  };
  const stop = async (): Promise<void> => {
    if (!server) return;
    const closed = once(server.server, 'close');
    server.close(() => undefined);
    server = undefined;
    for (const socket of sockets) socket.destroy();
    await closed;
  };

  await start();
  return {
    host: loopback,
    port: claim.port,
    received,
    recipients,
    stop,
    start,
    async close() {
      await stop();
      await claim.release();
    },
  };
}
