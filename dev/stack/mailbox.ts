import { chmod, mkdir, readdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { readDevEnv } from '../env.js';
import { prepareDataDir } from '../paths.js';
import { startProcess, waitUntilReady } from './processes/child-process.js';
import { stopOrphan } from './processes/pid-file.js';
import { claimPort, loopback } from './processes/ports.js';
import { createServerProcess, type ServerProcess } from './processes/server-process.js';

/** A mail catcher: accepts every mail, delivers none, and shows them on a web page. */
export interface Mailbox {
  /** SMTP without TLS and authentication. */
  readonly smtp: { readonly host: string; readonly port: number };
  /** The web page; its `/email` lists the mails as JSON. */
  readonly url: string;
  /** The folder with each mail as `ID.eml`. */
  readonly mailDir: string;
  readonly server: ServerProcess;
  close(): Promise<void>;
}

/** Options of the mail catcher. */
export interface MailboxOptions {
  readonly dataDir: string;
  /** Preferred ports: the next free one if one is taken; 0 is any. */
  readonly smtpPort: number;
  readonly webPort: number;
  readonly signal?: AbortSignal | undefined;
}

/** Opens maildev as a child process, for this user and host alone. Its mails are kept in `dataDir/mail` across restarts. */
export async function openMailbox(options: MailboxOptions): Promise<Mailbox> {
  const layout = await prepareDataDir(options.dataDir);
  const mailDir = join(options.dataDir, 'mail');
  await makePrivate(mailDir);
  const pidFile = join(layout.run, 'mailbox.json');
  // Before a port is chosen: an orphan of a killed run would still hold it.
  await stopOrphan(pidFile);
  const smtp = await claimPort(options.smtpPort);
  const web = await claimPort(options.webPort);
  const url = `http://${loopback}:${web.port}`;
  const server = createServerProcess({
    name: 'mailbox',
    spawn: () =>
      startProcess({
        name: 'mailbox',
        script: 'dist/dev/stack/mailbox-program.js',
        args: [
          ...['--ip', loopback, '--smtp', String(smtp.port)],
          ...['--web-ip', loopback, '--web', String(web.port)],
          ...['--mail-directory', mailDir],
        ],
        env: readDevEnv().inherited,
        logFile: join(layout.logs, 'mailbox.log'),
        pidFile,
      }),
    waitUntilReady: (running, signal) =>
      waitUntilReady(running, async () => (await answersHttp(url)) && greetsSmtp(smtp.port), {
        timeoutMs: 30_000,
        signal,
      }),
    // maildev waits for idle SMTP connections to end; the mails are on disk already.
    stopTimeoutMs: 1_000,
  });

  async function close(): Promise<void> {
    await server.stop();
    await smtp.release();
    await web.release();
  }

  try {
    await server.start({ signal: options.signal });
  } catch (error) {
    await close();
    throw error;
  }
  return { smtp: { host: loopback, port: smtp.port }, url, mailDir, server, close };
}

/** Mails contain links that act for an admin, so other users of this machine may not read them, older ones included. */
async function makePrivate(mailDir: string): Promise<void> {
  await mkdir(mailDir, { recursive: true, mode: 0o700 });
  await chmod(mailDir, 0o700);
  for (const entry of await readdir(mailDir, { withFileTypes: true }))
    if (entry.isFile()) await chmod(join(mailDir, entry.name), 0o600);
}

async function answersHttp(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(1_000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

function greetsSmtp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: loopback });
    socket.setTimeout(1_000, () => socket.destroy());
    socket.once('data', (greeting) => {
      resolve(greeting.toString('latin1').startsWith('220'));
      socket.end('QUIT\r\n');
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
