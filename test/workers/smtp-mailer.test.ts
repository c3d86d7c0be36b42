import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { createServer, type Socket } from 'node:net';
import test from 'ava';
import { shareProcess, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { openSmtpServer, type SmtpBehaviour } from '../helpers/smtp-server.js';
import { MailFailure, type OutgoingMail } from '../../workers/mail/mail.port.js';
import {
  openSmtpMailer,
  smtpConnections,
  type MailConfig,
} from '../../workers/mail/smtp/smtp.mailer.js';
import type { SmtpTimeouts } from '../../workers/mail/smtp/send-attempt.js';

shareProcess();

const never = new AbortController().signal;
setMaxListeners(0, never);

test('a mail arrives with one recipient, both parts and the headers that it needs', async (t) => {
  const { server, send } = await setUp(t, { config: { configurationSet: 'events' } });
  const mail = aMail({ to: { name: 'Ada Lovelace', address: 'ada@x.example' } });
  const receipt = await send(mail);
  t.regex(receipt.response, /^250 /);
  const [{ from, to, source } = { from: '', to: [], source: '' }] = server.taken;
  t.is(from, 'no-reply@rollcall.example');
  t.deepEqual(to, ['ada@x.example']);
  for (const header of [
    /^From: Rollcall <no-reply@rollcall\.example>\r$/m,
    /^To: Ada Lovelace <ada@x\.example>\r$/m,
    /^Subject: Hello\r$/m,
    new RegExp(`^Message-ID: <${mail.id}@rollcall\\.example>\r$`, 'm'),
    /^Date: .*\+0000\r$/m,
    /^Auto-Submitted: auto-generated\r$/m,
    /^X-Auto-Response-Suppress: OOF, AutoReply\r$/m,
    /^X-SES-CONFIGURATION-SET: events\r$/im,
    new RegExp(`^X-SES-MESSAGE-TAGS: outbox_id=${mail.id}\r$`, 'im'),
    /^Content-Type: multipart\/alternative;/m,
    /^Content-Type: text\/plain; charset=utf-8\r$/m,
    /^Content-Type: text\/html; charset=utf-8\r$/m,
  ]) {
    t.regex(source, header);
  }
});

test('without a configuration set nothing is said to SES', async (t) => {
  const { server, send } = await setUp(t);
  await send(aMail());
  t.notRegex(server.taken[0]?.source ?? '', /X-SES/i);
});

for (const name of [
  'x\r\nBcc: evil@e.example',
  'a, evil@e.example',
  'a; evil@e.example',
  '<evil@e.example>',
  '"q" <evil@e.example>, b',
  '(c) evil@e.example\0',
]) {
  test(`a name like ${JSON.stringify(name)} adds neither recipient nor header`, async (t) => {
    const { server, send } = await setUp(t);
    await send(aMail({ to: { name, address: 'ada@x.example' } }));
    const [mail] = server.taken;
    t.deepEqual(mail?.to, ['ada@x.example']);
    t.notRegex(mail?.source ?? '', /^Bcc:/im);
    t.is(mail?.source.match(/^To:/gim)?.length, 1);
  });
}

test('an address that is none is refused before any server hears of it', async (t) => {
  const { server, send } = await setUp(t);
  const address = 'a@b.example\r\nRCPT TO:<evil@e.example>';
  t.is(await send(aMail({ to: { name: 'x', address } })).catch(effectOf), 'refuse');
  t.is(server.received.length, 0);
});

test('an SES id and a queue id are kept', async (t) => {
  for (const [answer, providerId] of [
    ['Ok 0100018b5c3c0a4f-6d2f-000000', '0100018b5c3c0a4f-6d2f-000000'],
    ['2.0.0 Ok: queued as 4XYZ9', '4XYZ9'],
    ['thanks', undefined],
  ] as const) {
    const { send } = await setUp(t, {
      server: {
        onData: (stream, _session, callback) =>
          void stream.resume().on('end', () => callback(null, answer)),
      },
    });
    t.is((await send(aMail())).providerId, providerId);
  }
});

test('replies become failures by their class', async (t) => {
  const code = Number;
  for (const [address, effect] of [
    ['450@x.example', 'retry'],
    ['550@x.example', 'refuse'],
    ['take@x.example', 'taken'],
  ] as const) {
    const { send } = await setUp(t, {
      onRecipient: (to) =>
        to.startsWith('take') ? 'take' : { code: code(to.slice(0, 3)), text: `no, ${to}` },
    });
    const result = await send(aMail({ to: { name: 'x', address } })).then(() => 'taken', effectOf);
    t.is(result, effect);
  }
});

test('what a failure says holds no address', async (t) => {
  const { send } = await setUp(t, {
    onRecipient: (to) => ({ code: 550, text: `<${to}> unknown` }),
  });
  const error = await t.throwsAsync(send(aMail()), { instanceOf: MailFailure });
  t.is(error?.message, '550 <[address]> unknown');
});

test('a refusal of one mail does not disturb the next on the same connection', async (t) => {
  const { server, send } = await setUp(t, {
    onMail: (_mail, count) => (count === 1 ? { code: 554, text: 'rejected' } : 'take'),
  });
  t.is(await send(aMail()).catch(effectOf), 'refuse');
  await send(aMail());
  t.is(server.taken.length, 1);
});

test('a server that hangs up after the whole mail gets it once per try', async (t) => {
  const { server, send } = await setUp(t, { onMail: () => 'cut' });
  t.is(await send(aMail()).catch(effectOf), 'unanswered');
  t.is(server.received.length, 1);
});

test('no server, no name, no answer: later', async (t) => {
  const { send } = await setUp(t, { config: { port: 1 } });
  t.is(await send(aMail()).catch(effectOf), 'unreachable');
});

test('a server that never greets is given up in time', async (t) => {
  const { port, sockets } = await openSilentServer(t);
  const { send } = await setUp(t, { config: { port }, limits: { greetingMs: 150 } });
  t.is(await send(aMail()).catch(effectOf), 'unreachable');
  await eventually(() => sockets.size === 0, { of: 'the connection being dropped' });
});

test('a server that never answers to the content is given up in time, and its connection dropped', async (t) => {
  const { server, send } = await setUp(t, { onMail: () => 'hang', limits: { answerMs: 10_000 } });
  const error = await t.throwsAsync(send(aMail()), { instanceOf: MailFailure });
  t.is(error?.effect, 'unanswered');
  await eventually(() => server.received.length === 1);
});

test('taken back while the server has not got the content, the mail is not sent', async (t) => {
  const { port, sockets } = await openSilentServer(t);
  const { send } = await setUp(t, { config: { port } });
  const controller = new AbortController();
  const sending = send(aMail(), controller.signal).catch(effectOf);
  await eventually(() => sockets.size > 0);
  controller.abort();
  t.is(await sending, 'abort');
  t.is(await send(aMail(), AbortSignal.abort()).catch(effectOf), 'abort');
});

test('taken back after the server has got the content, the answer is waited for a moment, and then nobody knows', async (t) => {
  const { server, send } = await setUp(t, {
    onMail: () => 'hang',
    limits: { answerAfterAbortMs: 100 },
  });
  const controller = new AbortController();
  const sending = send(aMail(), controller.signal).catch(effectOf);
  await eventually(() => server.received.length === 1);
  controller.abort();
  t.is(await sending, 'unanswered');
});

test('content that may not go is kept back, for the reason given; the next mail goes', async (t) => {
  const { server, mailer } = await setUp(t);
  const why = new Error('not now');
  const beforeContent = async (): Promise<void> => Promise.reject(why);
  t.is(await t.throwsAsync(mailer.send(aMail(), never, { beforeContent })), why);
  await mailer.send(aMail(), never);
  t.is(server.received.length, 1);
});

test('leave to hand over is asked for once the server is ready, and before it has anything', async (t) => {
  const seen: (string | number)[] = [];
  const { server, mailer } = await setUp(t, {
    onRecipient: () => {
      seen.push('named');
      return 'take';
    },
  });
  await mailer.send(aMail(), never, {
    onSession: () => void seen.push('session'),
    beforeContent: async () => void seen.push('content', server.received.length),
  });
  t.deepEqual(seen, ['session', 'named', 'content', 0]);
});

test('the name that is set is the one in EHLO (field: nodemailer 1613)', async (t) => {
  const names: string[] = [];
  const { send } = await setUp(t, {
    config: { ehloName: 'mail.rollcall.example' },
    server: {
      onMailFrom: (_address, { hostNameAppearsAs }, callback) => {
        names.push(hostNameAppearsAs);
        callback();
      },
    },
  });
  await send(aMail());
  t.deepEqual(names, ['mail.rollcall.example']);
});

test('no more connections are opened than are set', async (t) => {
  let most = 0;
  let open = 0;
  const { send } = await setUp(t, {
    config: { connections: 2 },
    limits: { sendMs: 60_000 },
    onMail: async () => {
      most = Math.max(most, ++open);
      await eventually(() => open >= 2 || most === 2);
      open -= 1;
      return 'take' as const;
    },
  });
  await Promise.all([send(aMail()), send(aMail()), send(aMail()), send(aMail())]);
  t.is(most, 2);
  t.is(smtpConnections({ connections: undefined, ratePerSecond: 14 }), 5);
  t.is(smtpConnections({ connections: 40, ratePerSecond: 1 }), 40);
});

test('taken back after the server has got the content, the mail is sent all the same', async (t) => {
  let answer: () => void = () => undefined;
  const asked = new Promise<'take'>((resolve) => {
    answer = () => resolve('take');
  });
  const { server, send } = await setUp(t, { onMail: () => asked });
  const controller = new AbortController();
  const sending = send(aMail(), controller.signal);
  await eventually(() => server.received.length === 1);
  controller.abort();
  answer();
  t.regex((await sending).response, /^250/);
});

test('with STARTTLS required, a server without it gets no mail and no password', async (t) => {
  const heard: string[] = [];
  const { server, send } = await setUp(t, {
    config: { tls: 'starttls', credentials: { username: 'u', password: 'p' } },
    server: {
      onAuth: (auth, _session, callback) => {
        heard.push(String(auth.password));
        callback(null, { user: 1 });
      },
    },
  });
  t.is(await send(aMail()).catch(effectOf), 'misconfigured');
  t.deepEqual([server.received.length, heard], [0, []]);
});

for (const tls of ['starttls', 'optional', 'implicit'] as const) {
  test(`a certificate that nobody vouches for ends the ${tls} connection before any mail`, async (t) => {
    const { server, send } = await setUp(t, {
      config: { tls },
      server: { disabledCommands: [], secure: tls === 'implicit' },
    });
    const error = await t.throwsAsync(send(aMail()), { instanceOf: MailFailure });
    t.is(error?.effect, 'misconfigured', error?.message);
    t.is(server.received.length, 0);
  });
}

test('wrong credentials are a fault of the settings', async (t) => {
  const { server, send } = await setUp(t, {
    config: { credentials: { username: 'u', password: 'wrong' } },
    server: {
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: (_auth, _session, callback) =>
        callback(
          Object.assign(new Error('Authentication Credentials Invalid'), { responseCode: 535 }),
        ),
    },
  });
  t.is(await send(aMail()).catch(effectOf), 'misconfigured');
  t.is(server.received.length, 0);
});

interface SetUp extends SmtpBehaviour {
  readonly config?: Partial<MailConfig>;
  readonly limits?: Partial<SmtpTimeouts>;
}

async function setUp(scope: Scope, { config = {}, limits = {}, ...behaviour }: SetUp = {}) {
  const server = await openSmtpServer(scope, behaviour);
  const mailer = openSmtpMailer(
    {
      host: server.host,
      port: server.port,
      tls: 'optional',
      credentials: undefined,
      from: { name: 'Rollcall', address: 'no-reply@rollcall.example' },
      ratePerSecond: 10,
      connections: undefined,
      ehloName: undefined,
      configurationSet: undefined,
      ...config,
    },
    createRecordingLogger().log,
    {
      connectMs: 10_000,
      greetingMs: 10_000,
      sendMs: 10_000,
      answerMs: 10_000,
      answerAfterAbortMs: 10_000,
      ...limits,
    },
  );
  scope.teardown(() => mailer.close());
  return {
    server,
    mailer,
    send: (mail: OutgoingMail, signal = never) => mailer.send(mail, signal),
  };
}

async function openSilentServer(scope: Scope): Promise<{ port: number; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    socket.resume();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  scope.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return { port: typeof address === 'object' && address !== null ? address.port : 0, sockets };
}

function aMail(overrides: Partial<OutgoingMail> = {}): OutgoingMail {
  return {
    id: randomUUID(),
    to: { name: 'Ada', address: 'ada@x.example' },
    subject: 'Hello',
    text: 'Hello, Žofie',
    html: '<p>Hello, Žofie</p>',
    ...overrides,
  };
}

function effectOf(error: unknown): string {
  if (error instanceof MailFailure) return error.effect;
  throw error;
}
