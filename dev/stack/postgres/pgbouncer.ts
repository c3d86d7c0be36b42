import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { readDevEnv } from '../../env.js';
import { projectRoot } from '../../paths.js';
import { startCommand, waitUntilReady } from '../processes/child-process.js';
import { claimPort, loopback } from '../processes/ports.js';
import {
  findServerProgram,
  lastLineOf,
  versionOf,
  type SearchOptions,
} from '../processes/server-program.js';

/** A connection pooler in front of a PostgreSQL. */
export interface Pgbouncer {
  /** The URL of a database through the pooler. */
  urlFor(databaseUrl: string): string;
  close(): Promise<void>;
}

export interface PgbouncerOptions extends SearchOptions {
  /** The server behind it, with the credentials of all connections. */
  readonly databaseUrl: string;
  /** The folder of its configuration and log. */
  readonly dataDir: string;
  /** Server connections for each database. */
  readonly poolSize: number;
}

/** Opens PgBouncer in transaction mode on a free port, otherwise with its default settings. */
export async function openPgbouncer(options: PgbouncerOptions): Promise<Pgbouncer> {
  const { dataDir, databaseUrl, signal } = options;
  const program = await findServerProgram(
    {
      names: ['pgbouncer'],
      packageName: 'pgbouncer',
      companions: [],
      unpackDir: join(projectRoot, '.local', 'pgbouncer'),
      faultOf: (each) =>
        versionOf(each).then(
          () => undefined,
          (error: unknown) => `${each.path} does not run: ${lastLineOf(error)}`,
        ),
      advice: [
        'PgBouncer is needed, and there is none on PATH:',
        '  Debian, Ubuntu   sudo apt-get install -y pgbouncer',
        '  macOS            brew install pgbouncer',
      ],
    },
    options,
  );
  const claim = await claimPort(0);
  const configFile = await writeConfig(options, claim.port);
  const running = await startCommand({
    name: 'pgbouncer',
    command: program.path,
    args: [configFile],
    env: { ...readDevEnv().inherited, ...program.env },
    logFile: join(dataDir, 'pgbouncer.log'),
  });
  const urlFor = (url: string): string =>
    Object.assign(new URL(url), { host: `${loopback}:${claim.port}` }).href;
  const close = async (): Promise<void> => {
    await running.stop();
    await claim.release();
  };
  try {
    await waitUntilReady(running, () => answers(urlFor(databaseUrl)), {
      timeoutMs: 30_000,
      signal,
    });
    return { urlFor, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function writeConfig(
  { dataDir, databaseUrl, poolSize }: PgbouncerOptions,
  port: number,
): Promise<string> {
  const { hostname, port: serverPort, username, password } = new URL(databaseUrl);
  await mkdir(dataDir, { recursive: true });
  const [configFile, usersFile] = [join(dataDir, 'pgbouncer.ini'), join(dataDir, 'users.txt')];
  await writeFile(
    usersFile,
    `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`,
  );
  const settings = {
    listen_addr: loopback,
    listen_port: port,
    unix_socket_dir: '',
    auth_file: usersFile,
    pool_mode: 'transaction',
    default_pool_size: poolSize,
    // PgBouncer refuses to run as root; it reads its files before it switches to this user.
    ...(userInfo().uid === 0 && { user: 'nobody' }),
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const databases = `[databases]\n* = host=${hostname} port=${serverPort}`;
  await writeFile(configFile, `${databases}\n\n[pgbouncer]\n${lines.join('\n')}\n`);
  await chmod(dataDir, 0o755);
  return configFile;
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  // The query reports failures; without a listener a lost connection would be an uncaught exception.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } finally {
    await client.end().catch(() => undefined);
  }
}
