import test from 'ava';
import type { Login } from '../helpers/admins.js';
import { createClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import type { Problem } from '../helpers/problem.js';
import { isRequest } from '../helpers/processes.js';
import { runApi } from '../helpers/servers.js';
import { ageRotations } from '../helpers/rotations.js';

const context = useSharedContext('api');
const api = useApi(context);

test.serial('POST /auth/login: answer, row and log line', async (t) => {
  const applicant = await api.admins.confirmedAdmin();
  const answer = await api.client.post<Login>(
    '/auth/login',
    { email: applicant.email.toUpperCase(), password: applicant.password },
    { headers: { 'user-agent': 'test browser', 'x-request-id': 'login-story' } },
  );
  t.is(answer.status, 200);
  t.is(answer.body.token_type, 'Bearer');
  t.is(answer.body.expires_in, 900);
  t.true(Math.abs(answer.body.refresh_expires_in - 30 * 86_400) <= 60);
  t.is(answer.body.admin.email, applicant.email);
  t.false(answer.text.includes('password'));

  const [row, ...others] = await context.rows(
    `select * from sessions where admin_id = $1 and user_agent = 'test browser'`,
    [applicant.id],
  );
  t.is(others.length, 0);
  t.is(row?.['ip'], '127.0.0.1');
  t.is(row?.['ended_at'], null);
  t.false(JSON.stringify(row).includes(answer.body.refresh_token.slice(-43)));

  const line = await api.server.waitForLine(isRequest('login-story'));
  t.deepEqual([line['user.id'], line['http.response.status_code']], [String(applicant.id), 200]);
});

test.serial(
  'an unknown address and a wrong password get the same bytes; a pending admin is told only after the right one',
  async (t) => {
    const { admins, client } = api;
    const confirmed = await admins.confirmedAdmin();
    const pending = await admins.registerAdmin();
    const tries = [
      { email: admins.applicant().email, password: confirmed.password },
      { email: confirmed.email, password: `${confirmed.password}x` },
      { email: confirmed.email, password: 'x'.repeat(2_000) },
      { email: pending.email, password: confirmed.password },
    ];
    const bodies = new Set<string>();
    for (const credentials of tries) {
      const { status, body } = await client.post<Record<string, unknown>>(
        '/auth/login',
        credentials,
      );
      t.is(status, 401);
      const { request_id: _, instance: __, ...rest } = body;
      bodies.add(JSON.stringify(rest));
    }
    t.is(bodies.size, 1);
    t.true([...bodies][0]?.includes('"invalid_credentials"'));

    const told = await client.post<{ code: string }>('/auth/login', pending);
    t.is(told.status, 422, 'a login takes no name');
    const { email, password } = pending;
    const answer = await client.post<{ code: string }>('/auth/login', { email, password });
    t.deepEqual([answer.status, answer.body.code], [403, 'email_not_confirmed']);
  },
);

test.serial(
  'the whole password counts: past 72 bytes, in any alphabet, in either normal form',
  async (t) => {
    const { admins, client } = api;
    for (const [password, same, other] of [
      [`${'a'.repeat(72)}X`, `${'a'.repeat(72)}X`, `${'a'.repeat(72)}Y`],
      ['\u{1F511}'.repeat(128), '\u{1F511}'.repeat(128), '\u{1F511}'.repeat(127)],
      ['e\u0301tude e\u0301tude e\u0301tude', 'étude étude étude', 'etude etude etude'],
      ['  spaces at both ends  ', '  spaces at both ends  ', 'spaces at both ends'],
    ] as const) {
      const { email } = await admins.confirmedAdmin({ password });
      t.is((await client.post('/auth/login', { email, password: same })).status, 200, password);
      t.is((await client.post('/auth/login', { email, password: other })).status, 401, other);
    }
  },
);

for (const [what, password] of Object.entries({
  'fourteen characters': 'x'.repeat(14),
  'eight characters of two code points each, one short': '\u{1F1E9}\u{1F1EA}'.repeat(7),
  '129 characters': 'x'.repeat(129),
  'a lone surrogate': `a long password \ud800`,
})) {
  test.serial(`a password of ${what} is refused`, async (t) => {
    const { status, body } = await api.client.post<{ errors: unknown[] }>(
      '/auth/register',
      api.admins.applicant({ password }),
    );
    t.is(status, 422);
    t.is(body.errors.length, 1);
    t.false(JSON.stringify(body).includes(password));
  });
}

test.serial('POST /auth/logout: both tokens are dead at once, on every instance', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const other = await runApi(context, { scope: t });
  const elsewhere = createClient(other.url).as(admin.login.access_token);
  t.is((await elsewhere.get('/auth/me')).status, 200);

  const answer = await admin.client.post('/auth/logout');
  t.deepEqual([answer.status, answer.text], [204, '']);
  for (const client of [admin.client, elsewhere]) t.is((await client.get('/auth/me')).status, 401);
  t.is(
    (await api.client.post('/auth/refresh', { refresh_token: admin.login.refresh_token })).status,
    401,
  );
  t.is((await admin.client.post('/auth/logout')).status, 401);
});

test.serial('logging out ends one session, not the others', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const second = await api.admins.logIn(admin);
  await admin.client.post('/auth/logout');
  t.is((await api.client.as(second.access_token).get('/auth/me')).status, 200);
});

test.serial('POST /auth/refresh: both tokens are new and both work', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { status, body } = await refresh(admin.login.refresh_token);
  t.is(status, 200);
  t.not(body.access_token, admin.login.access_token);
  t.not(body.refresh_token, admin.login.refresh_token);
  t.is((await api.client.as(body.access_token).get('/auth/me')).status, 200);
  t.is((await refresh(body.refresh_token)).status, 200);
});

test.serial('the same exchange again, and many at once, get the same successor', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => refresh(admin.login.refresh_token)),
  );
  t.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  t.is(new Set(answers.map(({ body }) => body.refresh_token)).size, 1);
});

test.serial('an old refresh token used later is taken for theft: the session ends', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { body: next } = await refresh(admin.login.refresh_token);
  t.is((await api.client.as(next.access_token).get('/auth/me')).status, 200);
  await ageRotations(context, admin.id, 11);
  t.is((await refresh(admin.login.refresh_token)).status, 401);
  t.is((await refresh(next.refresh_token)).status, 401);
  t.is((await api.client.as(next.access_token).get('/auth/me')).status, 401);
});

test.serial(
  'every 401 says how to authenticate (RFC 9110, 15.5.2), as the document promises',
  async (t) => {
    const { email } = api.admins.applicant();
    const answers = [
      await api.client.get('/auth/me'),
      await api.client.post('/auth/login', { email, password: 'not the password' }),
      await refresh('not a token'),
    ];
    for (const { status, headers } of answers) {
      t.is(status, 401);
      t.regex(headers.get('www-authenticate') ?? '', /^Bearer realm="/);
    }
  },
);

test.serial('GET /auth/refresh is 405 and says what is allowed', async (t) => {
  const { status, headers } = await api.client.get('/auth/refresh');
  t.deepEqual([status, headers.get('allow')], [405, 'POST']);
});

test.serial('an access token is no refresh token, nor the other way round', async (t) => {
  const { login } = await api.admins.confirmedAdmin();
  t.is((await refresh(login.access_token)).status, 401);
  t.is((await api.client.as(login.refresh_token).get('/auth/me')).status, 401);
});

test.serial(
  'GET and DELETE /auth/sessions: one’s own sessions are listed, and can be ended one by one',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    const stranger = await api.admins.confirmedAdmin();
    const second = await api.admins.logIn(admin);
    const { body: sessions } =
      await admin.client.get<{ id: number; current: boolean }[]>('/auth/sessions');
    t.deepEqual(
      sessions.map(({ current }) => current),
      [false, true],
    );
    const [other, current] = sessions;

    const strange = await stranger.client.delete(`/auth/sessions/${other?.id}`);
    const never = await stranger.client.delete('/auth/sessions/2147483647');
    t.deepEqual([strange.status, never.status], [404, 404]);
    t.is((await api.client.as(second.access_token).get('/auth/me')).status, 200);

    t.is((await admin.client.delete(`/auth/sessions/${other?.id}`)).status, 204);
    t.is((await api.client.as(second.access_token).get('/auth/me')).status, 401);
    t.is((await admin.client.delete(`/auth/sessions/${other?.id}`)).status, 404);
    t.is((await admin.client.delete(`/auth/sessions/${current?.id}`)).status, 204);
    t.is((await admin.client.get('/auth/me')).status, 401);
  },
);

const refresh = (token: string) =>
  api.client.post<Login>('/auth/refresh', { refresh_token: token });

test.serial(
  'a login ends the oldest session beyond 1,000; concurrent logins end no newer one',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    const second = await api.admins.logIn(admin);
    await insertSessions(admin.id, 998);
    t.is((await admin.client.get('/auth/me')).status, 200, 'one of a thousand');

    const newest = await api.admins.logIn(admin);
    t.is((await admin.client.get('/auth/me')).status, 401);
    t.is((await refresh(admin.login.refresh_token)).status, 401);
    t.deepEqual(
      await context.rows(
        'select ended_reason from sessions where admin_id = $1 and ended_at is not null',
        [admin.id],
      ),
      [{ ended_reason: 'excess' }],
    );
    for (const { access_token: token } of [second, newest])
      t.is((await api.client.as(token).get('/auth/me')).status, 200);
    const { body: listed } = await api.client
      .as(newest.access_token)
      .get<object[]>('/auth/sessions');
    t.is(listed.length, 100);

    const logins = await Promise.all(Array.from({ length: 4 }, () => api.admins.logIn(admin)));
    t.true((await countLive(admin.id)) < 1_000 + logins.length);
    t.is((await refresh(second.refresh_token)).status, 401);
    logins.push(newest, await api.admins.logIn(admin));
    t.is(await countLive(admin.id), 1_000);
    for (const { access_token: token, refresh_token: refreshToken } of logins) {
      t.is((await api.client.as(token).get('/auth/me')).status, 200);
      t.is((await refresh(refreshToken)).status, 200);
    }
  },
);

test.serial('a login ends at most 1,000 sessions, so that it is never too slow', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const other = await api.admins.confirmedAdmin();
  await insertSessions(admin.id, 3_000);
  await api.admins.logIn(admin);
  t.is(await countLive(admin.id), 2_002);
  for (let i = 0; i < 2; i++) await api.admins.logIn(admin);
  t.is(await countLive(admin.id), 1_000);
  t.is((await other.client.get('/auth/me')).status, 200, 'a session of somebody else');
});

const insertSessions = (adminId: number, count: number): Promise<unknown> =>
  context.rows(
    `insert into sessions (admin_id, refresh_nonce, refresh_hash, expires_at)
     select $1, '', '', now() + interval '1 day' from generate_series(1, $2)`,
    [adminId, count],
  );

async function countLive(adminId: number): Promise<number> {
  const rows = await context.rows('select from sessions where admin_id = $1 and ended_at is null', [
    adminId,
  ]);
  return rows.length;
}

test.serial('GET /auth/sessions refuses parameters that it does not know', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const answer = await admin.client.get<Problem>('/auth/sessions?limit=1');
  t.deepEqual([answer.status, answer.body.code], [422, 'validation_failed']);
  t.deepEqual(
    answer.body.errors?.map(({ pointer }) => pointer),
    ['#/limit'],
  );
});
