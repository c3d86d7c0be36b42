import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { Redis } from 'ioredis';
import { projectRoot } from '../../dev/paths.js';
import { useApi } from '../helpers/api.js';
import { createClient } from '../helpers/api-client.js';
import { useContext, type Scope } from '../helpers/context.js';
import { productionEnvironment } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { startApi, startWorker, type LogLine } from '../helpers/processes.js';
import { openSmtpServer } from '../helpers/smtp-server.js';

const context = useContext();
const trusting = useApi(context);

const UNTRUSTED = /self.signed|unable to verify|certificate|ERR_TLS/i;
const isAboutTrust = (line: LogLine): boolean =>
  UNTRUSTED.test(`${String(line['error.message'])} ${String(line['error.code'])}`);

for (const [what, disabledCommands, env] of [
  ['in production a mail server without TLS', ['STARTTLS'], productionEnvironment()],
  ['a mail server that nobody vouches for', [], {}],
] as const) {
  test.serial(`S74 ${what} gets no mail and no password`, async (t) => {
    await forgetMails();
    const heard: unknown[] = [];
    const smtp = await openSmtpServer(t, {
      server: {
        disabledCommands: [...disabledCommands],
        allowInsecureAuth: true,
        onAuth: ({ password }) => void heard.push(password),
      },
    });
    const secret = { MAIL_USERNAME: 'mailer', MAIL_PASSWORD: 'a password that nobody may hear' };
    const { email } = await trusting.admins.registerAdmin();
    await startWorker(context, { scope: t, env: { ...env, ...smtp.env, ...secret } });
    await hasFailedDelivery(email);
    t.deepEqual([smtp.received.length, heard], [0, []]);
  });
}

test.serial(
  'S74 a PostgreSQL that nobody vouches for hears no password and no query',
  async (t) => {
    const { port, connections } = await openUntrusted(t);
    const front = await openTlsAfterRequest(t, port);
    const url = Object.assign(new URL(context.databaseUrl), { port: String(front) }).href;
    const api = await startApi(context, {
      scope: t,
      env: { DATABASE_URL: url, POSTGRES_SSL: 'verify-full' },
    });
    const client = createClient(api.url);
    const login = await client.post('/auth/login', {
      email: 'a@x.test',
      password: 'a password of nobody at all',
    });
    t.is(login.status, 503);
    await api.waitForLine(isAboutTrust, { of: 'the certificate being refused' });
    t.deepEqual(connections, []);
  },
);

test.serial('S74 a Redis that nobody vouches for hears no password and no command', async (t) => {
  const { port, connections } = await openUntrusted(t);
  const env = { REDIS_URL: `rediss://user:password@127.0.0.1:${port}` };
  const api = await startApi(context, { scope: t, env });
  const worker = await startWorker(context, { scope: t, env });
  t.is((await createClient(api.url).get('/health/ready')).status, 503);
  await Promise.all([api, worker].map((process) => process.waitForLine(isAboutTrust)));
  t.deepEqual(connections, []);
});

test.serial('S74 a Firehose that nobody vouches for gets no record', async (t) => {
  const { port, connections } = await openUntrusted(t);
  await trusting.client.get('/health/live');
  const env = { AWS_ENDPOINT_URL_FIREHOSE: `https://127.0.0.1:${port}` };
  const worker = await startWorker(context, { scope: t, env });
  await worker.waitForLine(isAboutTrust, { of: 'the certificate being refused' });
  t.deepEqual(connections, []);
});

test.serial('S74 nothing in the product looks away from a certificate', async (t) => {
  let files = 0;
  for (const folder of ['api', 'workers', 'shared', 'migrations', 'cli']) {
    for (const file of await readdir(join(projectRoot, folder), { recursive: true })) {
      if (!file.endsWith('.ts')) continue;
      files += 1;
      const source = await readFile(join(projectRoot, folder, file), 'utf8');
      t.notRegex(
        source,
        /rejectUnauthorized:(?!\s*(?:true|boolean)\b)|NODE_TLS_REJECT|checkServerIdentity|ssl_mode|no-verify/,
        file,
      );
    }
  }
  t.true(files > 50);
});

/** A TLS server with a certificate that its maker has signed itself; it notes every client that goes on all the same. */
async function openUntrusted(scope: Scope): Promise<{ port: number; connections: string[] }> {
  const connections: string[] = [];
  const { port } = await openSmtpServer(scope, {
    server: {
      secure: true,
      disabledCommands: [],
      onConnect: ({ remoteAddress }, callback) => {
        connections.push(remoteAddress);
        callback();
      },
    },
  });
  return { port, connections };
}

/** What PostgreSQL does before TLS: it takes the request for it, and says that it will (protocol 3, "SSL Session Encryption"). */
async function openTlsAfterRequest(scope: Scope, tlsPort: number): Promise<number> {
  const server = createServer((client) => {
    const upstream = connect({ host: '127.0.0.1', port: tlsPort });
    for (const socket of [client, upstream]) socket.on('error', () => undefined);
    client.once('close', () => upstream.destroy());
    client.once('data', () => {
      client.write('S');
      client.pipe(upstream).pipe(client);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.teardown(() => void server.close());
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** The mail of the test before is tried first, and its queue is throttled for a minute. */
async function forgetMails(): Promise<void> {
  await context.rows('truncate outbox cascade');
  const redis = new Redis(context.redisUrl);
  await redis.flushdb();
  redis.disconnect();
}

const hasFailedDelivery = (email: string): Promise<boolean> =>
  eventually(
    async () => {
      const tried = await context.rows<{ outcome: string }>(
        `select d.outcome from deliveries d join outbox o on o.id = d.outbox_id
          where o.recipient = $1 and d.outcome is not null`,
        [email],
      );
      return tried.length > 0 && tried.every(({ outcome }) => outcome !== 'sent');
    },
    { of: 'a try that fails' },
  );
