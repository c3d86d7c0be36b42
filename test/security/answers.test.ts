import test from 'ava';
import type { Answer } from '../helpers/api-client.js';
import { mintedToken } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { loadContract } from '../helpers/contract.js';
import { operationsOf, readDocument } from '../helpers/openapi.js';
import { userAnswer } from '../helpers/samples.js';

const context = useContext();
const api = useApi(context);

const document = readDocument();

interface Schema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: unknown;
}

test('S46 the document names every field of every answer, and none of them is a secret but a login’s tokens', (t) => {
  const schemas = Object.entries(document.components['schemas'] ?? {}) as [string, Schema][];
  const answers = schemas.filter(([name]) => !name.endsWith('Request'));
  t.true(answers.length > 10);
  const secrets = answers.flatMap(([name, schema]) =>
    objectsIn(schema).flatMap((object) => {
      if (name !== 'Readiness') t.is(object.additionalProperties, false, name);
      const fields = Object.keys(object.properties ?? {});
      const telling = fields.filter((field) =>
        /hash|pepper|secret|nonce|password|token|canonical|generation|key/i.test(field),
      );
      return telling.map((field) => `${name}.${field}`);
    }),
  );
  t.deepEqual(secrets.toSorted(), [
    'Login.access_token',
    'Login.refresh_token',
    'Login.token_type',
  ]);
});

test('S46 every answer of the whole suite is looked through for secrets', (t) => {
  const user = userAnswer({ id: 1, email: 'a@x.test', created_at: at, updated_at: at });
  const check = (body: object): void =>
    loadContract().check({
      method: 'GET',
      path: '/users/1',
      status: 200,
      headers: new Headers({ 'x-request-id': 'x', 'content-type': 'application/json' }),
      body,
    });
  t.notThrows(() => check(user));
  t.throws(() => check({ ...user, name: `$2b$12$${'x'.repeat(53)}` }), {
    message: /a password hash/,
  });
  for (const field of ['password_hash', 'passwordHash', 'refresh_nonce', 'pepper']) {
    t.throws(() => check({ ...user, [field]: 'x' }), { message: new RegExp(`the field ${field}`) });
  }
});

test('S46 nothing that is kept of passwords and tokens is in any answer to their owner', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { email, password, client } = admin;
  const again = api.admins.applicant({ email });
  const moved = context.uniqueAddress('moved');
  const { body: user } = await client.post<{ id: number }>('/users', { email: 'u@x.test' });
  const me = { email: moved, current_password: password };
  await api.client.post('/auth/password/forgot', { email });
  const token = await mintedToken(context)(email);
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const fields = (entered: string) => `token=${token}&password=${encodeURIComponent(entered)}`;
  const answers: Answer[] = [
    await client.post('/auth/register', again),
    await client.raw('POST', '/auth/confirm', { body: fields(password), headers: form }),
    await client.raw('POST', '/auth/password/reset', { body: fields('short'), headers: form }),
    await client.raw('GET', `/auth/password/reset?token=${token}`),
    await client.post('/auth/login', { email, password }),
    await client.post('/auth/refresh', { refresh_token: admin.login.refresh_token }),
    await client.put('/auth/me', me),
    await client.put(`/users/${user.id}`, { name: 'U' }),
  ];
  for (const { method, path } of operationsOf(document)) {
    if (method !== 'get') continue;
    const id = path.startsWith('/auth') ? 1 : user.id;
    const target = path === '/user' ? `/user?id=${id}` : path.replace('{id}', String(id));
    answers.push(await client.raw('GET', target));
  }
  const told = answers.map(({ text }) => text).join('\n');
  t.true(told.includes(moved) && told.includes('u@x.test'), 'the answers are those of this admin');
  for (const kept of await keptOf(admin.id)) t.false(told.includes(kept), kept);
  for (const secret of [password, again.password]) t.false(told.includes(secret));
});

const at = new Date(0).toISOString();

/** Every object in a schema. */
function objectsIn(schema: Schema): Schema[] {
  const parts = [
    ...Object.values(schema.properties ?? {}),
    ...(schema.items ? [schema.items] : []),
  ];
  return [...(schema.properties ? [schema] : []), ...parts.flatMap(objectsIn)];
}

/** What the database keeps of an admin’s secrets, in the spellings in which it could get out. */
async function keptOf(adminId: number): Promise<string[]> {
  const rows = await context.rows<{ kept: string }>(
    `select password_hash as kept from admins where id = $1
      union all select unnest(array[encode(refresh_hash, 'hex'), encode(refresh_nonce, 'hex')])
        from sessions where admin_id = $1
      union all select encode(nonce, 'hex') from confirmations
      union all select password_hash from registrations`,
    [adminId],
  );
  return rows.flatMap(({ kept }) => {
    const bytes = Buffer.from(kept, /^[0-9a-f]+$/.test(kept) ? 'hex' : 'utf8');
    return [kept, bytes.toString('hex'), bytes.toString('base64'), bytes.toString('base64url')];
  });
}
