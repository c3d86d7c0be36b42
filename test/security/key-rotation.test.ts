import test from 'ava';
import jwt from 'jsonwebtoken';
import { createAdmins, mintedToken, type AdminFactory, type Login } from '../helpers/admins.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { PASSWORD_PEPPER, SECRET_KEY, type Overrides } from '../helpers/env.js';
import { nextPageOf } from '../helpers/next-page.js';
import { runApi } from '../helpers/servers.js';

const context = useContext();

const NEW_KEY = 'n7Rk2vXq9LdW-the-key-that-comes-next-Bf4sHy0M';
const NEW_PEPPER = 'g1Zt8cPw5JuE-the-pepper-that-comes-next-Do6aV';

/** An instance at each stage of a rotation, all on one database. */
interface Instance {
  readonly client: ApiClient;
  readonly admins: AdminFactory;
}
let before: Instance;
let during: Instance;
let after: Instance;
test.serial.before('start an API before, during and after the rotation', async () => {
  before = await start({});
  during = await start({
    SECRET_KEY: NEW_KEY,
    SECRET_KEY_PREVIOUS: `${SECRET_KEY},an even older key of forty-four characters`,
    PASSWORD_PEPPER: NEW_PEPPER,
    PASSWORD_PEPPER_PREVIOUS: PASSWORD_PEPPER,
  });
  after = await start({ SECRET_KEY: NEW_KEY, PASSWORD_PEPPER: NEW_PEPPER });
});

test('S41 access tokens of the previous key pass until it is dropped; new ones name the new key', async (t) => {
  const admin = await before.admins.confirmedAdmin();
  t.deepEqual(await statuses(admin.login), [200, 200, 401]);
  const { body: fresh } = await refresh(during, admin.login);
  t.not(kidOf(fresh), kidOf(admin.login));
  t.deepEqual(await statuses(fresh), [401, 200, 200]);
  t.is(kidOf((await refresh(after, fresh)).body), kidOf(fresh));
});

test('S41 a key that is announced as a previous one first makes a rotation that no instance notices', async (t) => {
  const announced = await start({ SECRET_KEY_PREVIOUS: NEW_KEY });
  const admin = await announced.admins.confirmedAdmin();
  t.deepEqual(await statuses(admin.login), [200, 200, 401]);
  const { body: fresh } = await refresh(during, admin.login);
  t.is((await me(announced, fresh)).status, 200);
  t.is((await refresh(announced, fresh)).status, 200);
});

test('S41 refresh tokens, their lost answers, links and cursors of the previous key are good until it is dropped', async (t) => {
  const admin = await before.admins.confirmedAdmin();
  t.is((await refresh(after, admin.login)).status, 401);
  const { body: answered } = await refresh(before, admin.login);
  const { status, body: repeated } = await refresh(during, admin.login);
  t.deepEqual([status, repeated.refresh_token], [200, answered.refresh_token]);
  t.is((await refresh(after, answered)).status, 401);
  t.is((await refresh(during, answered)).status, 200);

  const pending = await before.admins.registerAdmin();
  const token = await mintedToken(context)(pending.email);
  const link = { token, password: pending.password };
  t.is((await after.client.post('/auth/confirm', link)).status, 400);
  t.is((await during.client.post('/auth/confirm', link)).status, 200);

  for (const email of ['a@x.test', 'b@x.test']) await admin.client.post('/users', { email });
  const next = nextPageOf(await admin.client.get('/users?limit=1')) ?? '';
  const { access_token } = (await logIn(after, await renewed(admin))).body;
  t.is((await during.client.as(access_token).get(next)).status, 200);
  t.is((await after.client.as(access_token).get(next)).status, 400);
});

test('S41 a hash of the previous pepper verifies until it is dropped, and is renewed at login', async (t) => {
  const admin = await before.admins.confirmedAdmin();
  const pepperId = async (): Promise<string | undefined> => {
    const [row] = await context.rows<{ hash: string }>(
      'select password_hash as hash from admins where id = $1',
      [admin.id],
    );
    return row?.hash.split('$')[1];
  };
  const old = await pepperId();
  t.is((await logIn(after, admin)).status, 401);
  t.is((await logIn(during, { ...admin, password: `${admin.password}x` })).status, 401);
  t.is(await pepperId(), old);

  t.is((await logIn(during, admin)).status, 200);
  t.not(await pepperId(), old);
  t.is((await logIn(after, admin)).status, 200);
  t.is((await logIn(after, { ...admin, password: `${admin.password}x` })).status, 401);
  t.is((await logIn(before, admin)).status, 401, 'it has never heard of the new pepper');
});

async function start(env: Overrides): Promise<Instance> {
  const client = createClient((await runApi(context, { env })).url);
  return { client, admins: createAdmins(context, client) };
}

const me = ({ client }: Instance, { access_token }: Login) =>
  client.as(access_token).get('/auth/me');

const refresh = ({ client }: Instance, { refresh_token }: Login) =>
  client.post<Login>('/auth/refresh', { refresh_token });

const logIn = ({ client }: Instance, { email, password }: { email: string; password: string }) =>
  client.post<Login>('/auth/login', { email, password });

/** How the three instances answer a token. */
const statuses = (login: Login): Promise<number[]> =>
  Promise.all([before, during, after].map(async (each) => (await me(each, login)).status));

/** The same admin, once its hash is made with the new pepper. */
async function renewed<A extends { email: string; password: string }>(admin: A): Promise<A> {
  await logIn(during, admin);
  return admin;
}

const kidOf = ({ access_token }: Login): string | undefined =>
  jwt.decode(access_token, { complete: true })?.header.kid;
