import { once } from 'node:events';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { SMTPServer } from 'smtp-server';
import { claimPort, loopback } from '../stack/processes/ports.js';

/** A mail server that counts what it has taken, and can be away. */
export interface MailSink {
  readonly host: string;
  readonly port: number;
  /** How often a mail was taken, by its Message-ID: the id of the outbox message. */
  readonly taken: ReadonlyMap<string, number>;
  /** Who got at least one mail. */
  readonly recipients: ReadonlySet<string>;
  /** Cuts every connection and refuses new ones. */
  goAway(): Promise<void>;
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

/** Opens the sink on a free port of loopback. */
export async function openMailSink(): Promise<MailSink> {
  const claim = await claimPort(0);
  const taken = new Map<string, number>();
  const recipients = new Set<string>();
  const sockets = new Set<Socket>();
  let server: SMTPServer | undefined;

  const comeBack = async (): Promise<void> => {
    if (server) return;
    server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      disableReverseLookup: true,
      closeTimeout: 1,
      onData(stream, { envelope }, respond) {
        text(stream).then((source) => {
          const id = /^Message-ID: <([^@>\s]+)@/im.exec(source)?.[1] ?? 'without an id';
          taken.set(id, (taken.get(id) ?? 0) + 1);
          for (const { address } of envelope.rcptTo) recipients.add(address);
          respond();
        }, respond);
      },
    });
    // Whoever dies in the middle of a mail is the subject of the run.
    server.on('error', () => undefined);
    server.server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.listen(claim.port, loopback);
    await once(server.server, 'listening');
  };
  const goAway = async (): Promise<void> => {
    if (!server) return;
    const closed = once(server.server, 'close');
    server.close(() => undefined);
    server = undefined;
    for (const socket of sockets) socket.destroy();
    await closed;
  };

  await comeBack();
  return {
    host: loopback,
    port: claim.port,
    taken,
    recipients,
    goAway,
    comeBack,
    async close() {
      await goAway();
      await claim.release();
    },
  };
}
