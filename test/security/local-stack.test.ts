import { mkdtemp, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createTransport } from 'nodemailer';
import { openFirehoseEndpoint } from '../../dev/emulators/firehose/firehose-endpoint.js';
import { prepareDataDir } from '../../dev/paths.js';
import { openMailbox } from '../../dev/stack/mailbox.js';
import { shareProcess, type Scope } from '../helpers/context.js';

shareProcess();

test('the local mailbox is for its own host: no other site’s page reads the mails, by whatever name', async (t) => {
  const mailbox = await openMailbox({ dataDir: await folder(t), smtpPort: 0, webPort: 0 });
  t.teardown(() => mailbox.close());
  await send(mailbox.smtp);
  for (const path of ['/', '/email', '/healthz', '/socket.io/?EIO=4&transport=polling']) {
    for (const foreign of FOREIGN) {
      const { status, body } = await ask(mailbox.url, path, foreign);
      t.deepEqual(
        [status, body.includes('<html')],
        [403, false],
        `${path} ${JSON.stringify(foreign)}`,
      );
    }
    for (const own of ownHeaders(mailbox.url)) {
      const answer = await ask(mailbox.url, path, own);
      t.is(answer.status, 200, `${path} ${JSON.stringify(own)}`);
      // Where the page's own origin may read, nothing is said to others: they are refused before.
      if (!('origin' in own && path.startsWith('/socket.io')))
        t.false('access-control-allow-origin' in answer.headers, path);
    }
  }
  t.true((await ask(mailbox.url, '/email')).body.includes('a mail of this test'));
});

test('a mail that the mailbox has taken is in its list', async (t) => {
  const mailbox = await openMailbox({ dataDir: await folder(t), smtpPort: 0, webPort: 0 });
  t.teardown(() => mailbox.close());
  const transport = createTransport({ ...mailbox.smtp, ignoreTLS: true, pool: true });
  t.teardown(() => transport.close());
  const sendAndLook = async (to: string): Promise<boolean> => {
    await transport.sendMail({ from: 'a@x.test', to, text: 'text', html: '<b>text</b>' });
    // Over a connection that is there already: at once.
    const answer = await fetch(`${mailbox.url}/email?envelope.to.address=${to}`);
    return (await answer.text()).includes(`"${to}"`);
  };
  const addresses = Array.from({ length: 200 }, (_, i) => `person-${i}@x.test`);
  const found = await Promise.all(addresses.map(sendAndLook));
  t.deepEqual(
    addresses.filter((_, i) => !found[i]),
    [],
  );
});

test('nor does a WebSocket of another site hear of new mails', async (t) => {
  const mailbox = await openMailbox({ dataDir: await folder(t), smtpPort: 0, webPort: 0 });
  t.teardown(() => mailbox.close());
  const path = '/socket.io/?EIO=4&transport=websocket';
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  for (const foreign of FOREIGN)
    await t.throwsAsync(ask(mailbox.url, path, { ...upgrade, ...foreign }), { code: 'ECONNRESET' });
  t.is((await ask(mailbox.url, path, upgrade)).status, 101);
});

test('mails on disk are for their owner alone, those of earlier runs too', async (t) => {
  const dataDir = await folder(t);
  const mailDir = join(dataDir, 'mail');
  await mkdir(mailDir, { mode: 0o755 });
  await writeFile(join(mailDir, 'earlier.eml'), 'Subject: x\r\n\r\nx', { mode: 0o644 });
  const mailbox = await openMailbox({ dataDir, smtpPort: 0, webPort: 0 });
  t.teardown(() => mailbox.close());
  await send(mailbox.smtp);
  t.is((await stat(mailDir)).mode & 0o777, 0o700);
  const names = await readdir(mailDir, { recursive: true });
  t.true(names.length >= 3, names.join());
  for (const name of names) {
    const entry = await stat(join(mailDir, name));
    t.is(entry.mode & 0o077, 0, name);
  }
});

test('log files are in a folder for their owner alone, that of an earlier run too', async (t) => {
  const dataDir = await folder(t);
  await mkdir(join(dataDir, 'logs'), { mode: 0o755 });
  const { logs } = await prepareDataDir(dataDir);
  t.is((await stat(logs)).mode & 0o777, 0o700);
});

test('the local Firehose and its log viewer are for their own host', async (t) => {
  const dataDir = await folder(t);
  const endpoint = await openFirehoseEndpoint({ dataDir, port: 0, host: '127.0.0.1' });
  t.teardown(() => endpoint.close());
  for (const path of ['/', '/_records', '/_stats', '/_faults']) {
    for (const foreign of FOREIGN)
      t.is((await ask(endpoint.url, path, foreign)).status, 403, JSON.stringify(foreign));
    for (const own of [...ownHeaders(endpoint.url), { host: 'firehose:4573' }])
      t.is((await ask(endpoint.url, path, own)).status, 200, JSON.stringify(own));
  }
});

const FOREIGN: readonly Readonly<Record<string, string>>[] = [
  { host: 'evil.test' },
  { host: 'evil.test:1080' },
  { host: '127.0.0.1.evil.test' },
  { origin: 'https://evil.test' },
  { origin: 'null' },
  { host: 'evil.test', origin: 'http://evil.test' },
];

const ownHeaders = (url: string): Readonly<Record<string, string>>[] => {
  const { port, host } = new URL(url);
  return [{}, { host: `localhost:${port}` }, { host: '[::1]:1080' }, { host, origin: url }];
};

async function folder(scope: Scope): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'rollcall-local-'));
  scope.teardown(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function send(smtp: { readonly host: string; readonly port: number }): Promise<void> {
  const transport = createTransport({ ...smtp, secure: false, ignoreTLS: true });
  await transport.sendMail({
    from: 'a@x.test',
    to: 'b@x.test',
    subject: 'a mail of this test',
    text: 'with something attached',
    attachments: [{ filename: 'a.txt', content: 'text' }],
  });
  transport.close();
}

/** What is answered, also when that is another protocol. */
function ask(
  url: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const read = (answer: IncomingMessage): void => {
      let body = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }),
      );
    };
    request({ host: hostname, port, path, headers, agent: false }, read)
      .on('upgrade', ({ statusCode = 0, headers: answered }, socket) => {
        socket.destroy();
        resolve({ status: statusCode, headers: answered, body: '' });
      })
      .on('error', reject)
      .end();
  });
}
