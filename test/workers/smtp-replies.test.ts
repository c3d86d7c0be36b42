import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import test from 'ava';
import { shareProcess, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openSmtpMailer } from '../../workers/mail/smtp/smtp.mailer.js';

shareProcess();

test('the content of a mail that a reply before its turn has failed is not transmitted, though it is permitted then', async (t) => {
  const { port, lines, sockets } = await openServerAhead(t);
  const mailer = openMailer(t, port);
  let permit: () => void = () => undefined;
  const beforeContent = () =>
    new Promise<void>((resolve) => {
      permit = resolve;
    });
  const mail = {
    ...{ id: 'm-1', subject: 'Hello', text: 'Hello', html: '<p>Hello</p>' },
    to: { name: 'Ada', address: 'ada@x.example' },
  };
  const sending = mailer.send(mail, new AbortController().signal, { beforeContent });
  const error = await t.throwsAsync(sending);
  t.regex(error?.message ?? '', /^354 /);
  permit();
  await eventually(() => sockets.size === 0, { of: 'the connection being given up' });
  t.true(lines.includes('DATA'));
  t.deepEqual(
    lines.filter((line) => line.startsWith('Content-Type')),
    [],
  );
});

/** A mail server that answers MAIL FROM twice, so that each reply seems to be that to the next command. */
async function openServerAhead(scope: Scope) {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    socket.write('220 ahead\r\n');
    createInterface({ input: socket }).on('line', (line) => {
      lines.push(line);
      if (line === 'DATA') socket.write('354 go on\r\n');
      else socket.write(line.startsWith('MAIL FROM') ? '250 ok\r\n250 ok\r\n' : '250 ok\r\n');
    });
  });
  scope.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, lines, sockets };
}

function openMailer(scope: Scope, port: number) {
  const limitMs = 10_000;
  const mailer = openSmtpMailer(
    {
      host: '127.0.0.1',
      port,
      tls: 'optional',
      credentials: undefined,
      from: { name: 'Rollcall', address: 'no-reply@rollcall.example' },
      ratePerSecond: 10,
      connections: undefined,
      ehloName: undefined,
      configurationSet: undefined,
    },
    createRecordingLogger().log,
    {
      ...{ connectMs: limitMs, greetingMs: limitMs, sendMs: limitMs },
      ...{ answerMs: limitMs, answerAfterAbortMs: limitMs },
    },
  );
  scope.teardown(() => mailer.close());
  return mailer;
}
