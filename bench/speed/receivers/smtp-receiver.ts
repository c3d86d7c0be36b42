import { createServer, type Server, type Socket } from 'node:net';
import { claimPort, loopback } from '../../../dev/stack/processes/ports.js';
import { monotonicMs } from '../load/load-job.js';

/** An SMTP server that accepts every mail and keeps none, as cheap as can be: it shares a core with the database. */
export interface SmtpReceiver {
  readonly port: number;
  /** Called for each mail once it is accepted, with one of its recipients and its size. */
  onMail: (mail: ReceivedMail) => void;
  close(): Promise<void>;
}

export interface ReceivedMail {
  readonly recipient: string;
  readonly bytes: number;
  /** By the clock that {@link monotonicMs} reads. */
  readonly atMs: number;
}

interface Session {
  readonly receiver: SmtpReceiver;
  readonly socket: Socket;
  isInData: boolean;
  recipient: string;
  /** An incomplete line, or the content so far. */
  text: string;
}

const LINE_END = '\r\n';
const CONTENT_END = '\r\n.\r\n';
/** The reply to each command (RFC 5321, 4.2); anything else gets 250. */
const REPLIES: Readonly<Record<string, string>> = {
  DATA: '354 go ahead',
  QUIT: '221 goodbye',
};

/** Opens it on a free port of loopback. */
export async function openSmtpReceiver(): Promise<SmtpReceiver> {
  const claim = await claimPort(0);
  const sockets = new Set<Socket>();
  const server = createServer();
  const receiver: SmtpReceiver = {
    port: claim.port,
    onMail: () => undefined,
    async close() {
      await closeServer(server, sockets);
      await claim.release();
    },
  };
  server.on('connection', (socket) => {
    sockets.add(socket);
    const session: Session = { receiver, socket, isInData: false, recipient: '', text: '' };
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => read(session, chunk));
    // Workers are stopped with connections open.
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    reply(session, '220 bench ESMTP');
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(claim.port, loopback, resolve);
  });
  return receiver;
}

function closeServer(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  for (const socket of sockets) socket.destroy();
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}

function read(session: Session, chunk: string): void {
  session.text += chunk;
  for (;;) {
    const mark = session.isInData ? CONTENT_END : LINE_END;
    const end = session.text.indexOf(mark);
    if (end < 0) return;
    const part = session.text.slice(0, end);
    session.text = session.text.slice(end + mark.length);
    if (session.isInData) accept(session, part);
    else obey(session, part);
  }
}

function obey(session: Session, line: string): void {
  const verb = line.slice(0, 4).toUpperCase();
  if (verb === 'RCPT') session.recipient = /<([^>]*)>/.exec(line)?.[1] ?? '';
  session.isInData = verb === 'DATA';
  reply(session, REPLIES[verb] ?? '250 ok');
  if (verb === 'QUIT') session.socket.end();
}

function accept(session: Session, content: string): void {
  session.isInData = false;
  reply(session, '250 accepted');
  const { recipient } = session;
  session.receiver.onMail({ recipient, bytes: content.length, atMs: monotonicMs() });
}

function reply({ socket }: Session, line: string): void {
  socket.write(`${line}${LINE_END}`);
}
