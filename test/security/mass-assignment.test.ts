import test from 'ava';
import { mintedToken, type TestAdmin } from '../helpers/admins.js';
import type { Answer } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { operationsOf, readDocument, type DocumentedOperation } from '../helpers/openapi.js';
import type { Problem } from '../helpers/problem.js';
import { fingerprint } from '../helpers/schema.js';

const context = useContext();
const api = useApi(context);

/** What a client may not set, whatever the request. */
const FORBIDDEN: Readonly<Record<string, unknown>> = {
  id: 1,
  admin_id: 1,
  adminId: 1,
  role: 'operator',
  is_operator: true,
  operator_since: '2020-01-01T00:00:00Z',
  operatorSince: '2020-01-01T00:00:00Z',
  confirmed_at: '2020-01-01T00:00:00Z',
  confirmedAt: '2020-01-01T00:00:00Z',
  email_confirmed: true,
  email_canonical: 'a@x.test',
  pending_email: 'a@x.test',
  password_hash: 'v1$p1$$2b$04$',
  passwordHash: 'v1$p1$$2b$04$',
  created_at: '2020-01-01T00:00:00Z',
  updated_at: '2020-01-01T00:00:00Z',
  token_version: 0,
  constructor: { prototype: { role: 'operator' } },
  toString: 'operator',
};

const operations = operationsOf(readDocument()).filter(({ operation }) => operation.requestBody);

for (const given of operations) {
  const { method, path } = given;
  test.serial(`S45 ${method} ${path} takes no field that is not a client’s to set`, async (t) => {
    const admin = await api.admins.confirmedAdmin();
    const { target, body } = await goodRequest(given, admin);
    const send = (json: string): Promise<Answer> =>
      admin.client.request(method.toUpperCase(), target, {
        body: json,
        headers: { 'content-type': 'application/json' },
      });
    await handedOver();
    const before = await fingerprint(context);
    for (const [field, value] of Object.entries(FORBIDDEN)) {
      const { status, body: problem } = await send(JSON.stringify({ ...body, [field]: value }));
      t.is(status, 422, field);
      t.deepEqual(
        (problem as Problem).errors?.map(({ pointer }) => pointer),
        [`#/${field}`],
      );
    }
    const rest = JSON.stringify(body).slice(1);
    t.is((await send(`{"__proto__":{"role":"operator"},${rest}`)).status, 422);
    t.is(await fingerprint(context), before);
    t.is((await admin.client.get<{ role: string }>('/auth/me')).body.role, 'admin');

    const { status } = await send(JSON.stringify(body));
    t.true(status < 300, `nothing else was wrong with the request: ${status}`);
  });
}

test.serial('S45 a form takes no such field either', async (t) => {
  const { email, password } = await api.admins.registerAdmin();
  const token = await mintedToken(context)(email);
  const good = `token=${token}&password=${encodeURIComponent(password)}`;
  await handedOver();
  const before = await fingerprint(context);
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  for (const extra of ['role=operator', 'id=1', '__proto__[role]=operator', 'a[b]=c']) {
    const body = `${good}&${extra}`;
    const { status } = await api.client.raw('POST', '/auth/confirm', { body, headers });
    t.is(status, 422, extra);
  }
  t.is(await fingerprint(context), before);
  const confirmed = await api.client.raw('POST', '/auth/confirm', { body: good, headers });
  t.is(confirmed.status, 200);
});

/** Rows rest once the mails that they promise are on the queue, which follows the answer. */
async function handedOver(): Promise<void> {
  await eventually(
    async () => (await context.rows(`select id from outbox where state = 'pending'`)).length === 0,
  );
}

/** A request that would succeed. */
async function goodRequest(
  { path, operation }: DocumentedOperation,
  admin: TestAdmin,
): Promise<{ target: string; body: object }> {
  const { client, email, password } = admin;
  const { body: user } = await client.post<{ id: number }>('/users', { email: 'u@x.test' });
  const pending = await api.admins.registerAdmin();
  const bodies: Readonly<Record<string, () => object | Promise<object>>> = {
    RegisterRequest: () => api.admins.applicant(),
    ResendRequest: () => ({ email: pending.email }),
    ConfirmRequest: async () => ({
      token: await mintedToken(context)(pending.email),
      password: pending.password,
    }),
    LoginRequest: () => ({ email, password }),
    RefreshRequest: () => ({ refresh_token: admin.login.refresh_token }),
    ForgotPasswordRequest: () => ({ email }),
    ResetPasswordRequest: async () => {
      await client.post('/auth/password/forgot', { email });
      return { token: await mintedToken(context)(email), password: `another ${password}` };
    },
    UpdateMeRequest: () => ({ name: `${admin.name} II` }),
    DeleteMeRequest: () => ({ current_password: password }),
    CreateUserRequest: () => ({ email: 'another@x.test' }),
    UpdateUserRequest: () => ({ active: false }),
  };
  const { $ref = '' } = operation.requestBody?.content['application/json']?.schema ?? {};
  const body = await bodies[$ref.split('/').at(-1) ?? '']?.();
  if (!body) throw new Error(`say what a good body for ${path} is`);
  const isOneByQuery = path === '/user' && $ref.endsWith('UpdateUserRequest');
  const target = isOneByQuery ? `/user?id=${user.id}` : path.replace('{id}', String(user.id));
  return { target, body };
}
