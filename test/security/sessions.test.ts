import test, { type ExecutionContext } from 'ava';
import jwt from 'jsonwebtoken';
import { mintedToken, type Login, type TestAdmin } from '../helpers/admins.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useSystem } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { ageRotations } from '../helpers/rotations.js';
import { runApi, type RunningServer } from '../helpers/servers.js';

const context = useSharedContext('system');
const system = useSystem(context);

let secondApi: RunningServer;
test.serial.before('start a second API on the same database', async () => {
  secondApi = await runApi(context);
});

/** Both instances, for what must hold on each. */
const instances = (): ApiClient[] => [system.client, createClient(secondApi.url)];

test('S32 a token of one kind is none of another', async (t) => {
  const { admins, client } = system;
  const admin = await admins.confirmedAdmin();
  const { access_token: access, refresh_token: refreshing } = admin.login;
  const pending = await admins.registerAdmin();
  const registration = await mintedToken(context)(pending.email);
  await client.post('/auth/password/forgot', { email: admin.email });
  const reset = await mintedToken(context)(admin.email);
  const { current_password, email } = {
    current_password: admin.password,
    email: context.uniqueAddress('moved'),
  };
  t.is((await admin.client.put('/auth/me', { email, current_password })).status, 200);
  const move = await mintedToken(context)(email);

  for (const token of [refreshing, registration, reset, move]) {
    t.is((await client.as(token).get('/users')).status, 401, token);
  }
  for (const token of [access, registration, reset, move]) {
    t.deepEqual(await refused(refresh(token)), [401, 'invalid_refresh_token'], token);
  }
  const password = 'a password that nobody will have';
  for (const token of [refreshing, reset]) {
    const answer = client.post('/auth/confirm', { token, password: admin.password });
    t.deepEqual(await refused(answer), [400, 'invalid_token']);
  }
  for (const token of [refreshing, registration, move]) {
    const answer = client.post('/auth/password/reset', { token, password });
    t.deepEqual(await refused(answer), [400, 'invalid_token'], token);
  }
  const tooLong = await client.post('/auth/confirm', { token: access, password });
  t.is(tooLong.status, 422, 'longer than any link');
  t.is((await client.post('/auth/password/reset', { token: access, password })).status, 422);

  t.is((await admin.client.get('/auth/me')).status, 200);
  t.is((await refresh(refreshing)).status, 200);
  const confirmed = { token: registration, password: pending.password };
  t.is((await client.post('/auth/confirm', confirmed)).status, 200);
});

test('S35 a refresh token that comes back after its successor was used ends the session, and the admin is told', async (t) => {
  const admin = await system.admins.confirmedAdmin();
  const other = await system.admins.logIn(admin);
  const { body: second } = await refresh(admin.login.refresh_token);
  const { body: third } = await refresh(second.refresh_token);
  await ageRotations(context, admin.id, 11);

  const headers = { 'x-request-id': 'a-stolen-token' };
  const [, elsewhere = system.client] = instances();
  const again = { refresh_token: admin.login.refresh_token };
  const answer = elsewhere.post('/auth/refresh', again, { headers });
  t.deepEqual(await refused(answer), [401, 'invalid_refresh_token']);
  t.is((await refresh(third.refresh_token)).status, 401);
  for (const login of [admin.login, second, third]) await allDead(t, login);
  t.is((await system.client.as(other.access_token).get('/auth/me')).status, 200);
  t.is((await refresh(other.refresh_token)).status, 200, 'the other session lives');

  const { sid } = jwt.decode(third.access_token) as { sid: number };
  const [row] = await context.rows('select ended_reason from sessions where id = $1', [sid]);
  t.deepEqual(row, { ended_reason: 'reuse' });
  const events = await context.rows(
    `select session_id, request_id from audit_events where event = 'authn_token_reuse' and admin_id = $1`,
    [admin.id],
  );
  t.deepEqual(events, [{ session_id: sid, request_id: 'a-stolen-token' }]);
  const line = await secondApi.waitForLine((each) => each['event.action'] === 'authn_token_reuse');
  t.is(line['http.request.id'], 'a-stolen-token');
  t.is(line['user.id'], String(admin.id));
  const mail = await system.mailbox.waitForMail(admin.email, { subject: /session/i });
  t.false(mail.text.includes('token='), 'a notice holds no link that could be a thief’s');
});

test('S36 the same refresh again, and many at once on two instances, get one successor', async (t) => {
  const admin = await system.admins.confirmedAdmin();
  const token = admin.login.refresh_token;
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) => refresh(token, instances()[i % 2])),
  );
  answers.push(await refresh(token));
  t.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
  const successors = [...new Set(answers.map(({ body }) => body.refresh_token))];
  t.is(successors.length, 1);
  t.deepEqual(
    await context.rows('select refresh_generation, ended_at from sessions where admin_id = $1', [
      admin.id,
    ]),
    [{ refresh_generation: 1, ended_at: null }],
  );
  t.is((await refresh(successors[0] ?? '')).status, 200);
});

test('S36 a session ends when its time is up, however often it was refreshed', async (t) => {
  const admin = await system.admins.confirmedAdmin();
  const ends = (): Promise<object[]> =>
    context.rows('select expires_at from sessions where admin_id = $1', [admin.id]);
  const end = await ends();
  let { login } = admin;
  for (let i = 0; i < 3; i++) login = (await refresh(login.refresh_token)).body;
  t.deepEqual(await ends(), end, 'refreshing does not move the end');
  t.true(login.refresh_expires_in <= admin.login.refresh_expires_in);

  await context.rows('update sessions set expires_at = now() where admin_id = $1', [admin.id]);
  t.deepEqual(await refused(refresh(login.refresh_token)), [401, 'invalid_refresh_token']);
  await allDead(t, login);
});

test('S37 logging out kills both tokens at once, on every instance', async (t) => {
  const { body: login } = await refresh((await system.admins.confirmedAdmin()).login.refresh_token);
  const [here, there] = instances().map((each) => each.as(login.access_token));
  t.is((await there?.get('/auth/me'))?.status, 200);
  const answer = await here?.post('/auth/logout');
  t.deepEqual([answer?.status, answer?.text], [204, '']);
  await allDead(t, login);
  for (const instance of instances())
    t.is((await refresh(login.refresh_token, instance)).status, 401);
  for (const client of [here, there]) t.is((await client?.post('/auth/logout'))?.status, 401);
});

test('S39 one’s own live sessions are listed without secrets, and can be ended one by one', async (t) => {
  const admin = await system.admins.confirmedAdmin();
  const stranger = await system.admins.confirmedAdmin();
  const phone = await logInBy(admin, 'phone');
  const [, elsewhere = system.client] = instances();
  const { body: listed, text } = await elsewhere
    .as(admin.login.access_token)
    .get<readonly Record<string, unknown>[]>('/auth/sessions');
  const fields = ['created_at', 'current', 'expires_at', 'id', 'ip', 'last_used_at', 'user_agent'];
  for (const each of listed) t.deepEqual(Object.keys(each).toSorted(), fields);
  t.deepEqual(
    listed.map(({ current, ip }) => [current, ip]),
    [
      [false, '127.0.0.1'],
      [true, '127.0.0.1'],
    ],
  );
  t.is(listed[0]?.['user_agent'], 'phone');
  const secrets = [phone, admin.login].flatMap((login) => [
    login.access_token.split('.').at(-1) ?? '',
    login.refresh_token.slice(-43),
  ]);
  for (const secret of secrets) t.false(text.includes(secret));

  const path = `/auth/sessions/${Number(listed[0]?.['id'])}`;
  const never = '/auth/sessions/2147483647';
  t.deepEqual(
    await refused(stranger.client.delete(path)),
    await refused(stranger.client.delete(never)),
  );
  t.is((await system.client.as(phone.access_token).get('/auth/me')).status, 200);
  t.is((await admin.client.delete(path)).status, 204);
  await allDead(t, phone);
  t.is((await refresh(phone.refresh_token)).status, 401);
  t.deepEqual(await refused(admin.client.delete(path)), [404, 'not_found']);
  t.is((await admin.client.get<unknown[]>('/auth/sessions')).body.length, 1);
});

test('S40 every login is a session of its own; a client cannot choose it', async (t) => {
  const admin = await system.admins.confirmedAdmin();
  const known = claimsOf(admin.login);
  const chosen = {
    cookie: `sid=${known.sid}; session=${known.sid}; connect.sid=${known.sid}`,
    'x-session-id': String(known.sid),
    authorization: `Bearer ${admin.login.access_token}`,
  };
  const { email, password } = admin;
  const answer = await system.client.post<Login>(
    '/auth/login?sid=1',
    { email, password },
    { headers: chosen },
  );
  t.is(answer.headers.get('set-cookie'), null);
  const fresh = [answer.body, await system.admins.logIn(admin)].map(claimsOf);
  t.is(new Set([known, ...fresh].map(({ sid }) => sid)).size, 3);
  t.is(new Set([known, ...fresh].map(({ jti }) => jti)).size, 3);
  for (const field of ['sid', 'session_id', 'sessionId', 'refresh_token']) {
    const forced = await system.client.post('/auth/login', { email, password, [field]: known.sid });
    t.is(forced.status, 422, field);
  }
});

test('S42 a secret of the wrong length is refused like any wrong one', async (t) => {
  const { login } = await system.admins.confirmedAdmin();
  const pending = await system.admins.registerAdmin();
  const link = await mintedToken(context)(pending.email);
  const wrong = (token: string): string[] => [
    token.slice(0, -1),
    `${token}A`,
    token.slice(0, -43),
    token.replace(/[^_]+$/, 'A'),
    token.replace(/[^_]+$/, 'A'.repeat(64)),
    token.replace(/[^_]+$/, 'é'.repeat(43)),
    token.toLowerCase(),
  ];
  for (const token of wrong(login.refresh_token)) {
    t.deepEqual(await refused(refresh(token)), [401, 'invalid_refresh_token'], token);
  }
  for (const token of wrong(link)) {
    const answer = system.client.post('/auth/confirm', { token, password: pending.password });
    t.deepEqual(await refused(answer), [400, 'invalid_token'], token);
  }
  t.is((await refresh(login.refresh_token)).status, 200);
  const right = { token: link, password: pending.password };
  t.is((await system.client.post('/auth/confirm', right)).status, 200);
});

const refresh = (token: string, client: ApiClient = system.client) =>
  client.post<Login>('/auth/refresh', { refresh_token: token });

async function allDead(t: ExecutionContext, { access_token }: Login): Promise<void> {
  for (const instance of instances()) {
    t.is((await instance.as(access_token).get('/auth/me')).status, 401);
  }
}

async function refused(
  answer: Promise<{ status: number; body: unknown }>,
): Promise<[number, unknown]> {
  const { status, body } = await answer;
  return [status, (body as { code?: unknown }).code];
}

const claimsOf = ({ access_token }: Login) =>
  jwt.decode(access_token) as { readonly sid: number; readonly jti: string };

async function logInBy({ email, password }: TestAdmin, userAgent: string): Promise<Login> {
  const headers = { 'user-agent': userAgent };
  return (await system.client.post<Login>('/auth/login', { email, password }, { headers })).body;
}
