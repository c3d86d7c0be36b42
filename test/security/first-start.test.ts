import test from 'ava';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import type { Problem } from '../helpers/problem.js';

const context = useContext();
const api = useApi(context);

test.serial(
  'S27 a fresh installation has no account, and nobody is born an operator',
  async (t) => {
    for (const table of ['admins', 'registrations', 'users', 'sessions'])
      t.deepEqual(await context.rows(`select from ${table}`), [], table);
    for (const email of ['admin', 'root', 'operator', 'test', 'seed', 'demo'].flatMap((name) => [
      name,
      `${name}@example.com`,
      `${name}@localhost.test`,
      `${name}@rollcall.example`,
    ])) {
      for (const password of ['admin', 'root', 'password', 'changeme', email]) {
        const { status } = await api.client.post('/auth/login', { email, password });
        // A word is no address: it is refused before anybody is looked for.
        t.is(status, email.includes('@') ? 401 : 422, `${email} ${password}`);
      }
    }

    const first = await api.admins.confirmedAdmin();
    t.is(first.login.admin.role, 'admin');
    await api.admins.confirmedAdmin();
    const { body: seen } = await first.client.get<{ id: number }[]>('/auth/admins');
    t.deepEqual(
      seen.map(({ id }) => id),
      [first.id],
    );
  },
);

test.serial('S26 what is no text is no address and no password', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { email, password } = admin;
  const before = await sessions();
  const foreign: readonly unknown[] = [
    [],
    [email],
    [email, 'b@x.test'],
    [password],
    {},
    { $ne: null },
    { $gt: '' },
    { like: '%' },
    { toString: email },
    0,
    17,
    true,
    false,
    null,
    undefined,
  ];
  for (const value of foreign) {
    for (const field of ['email', 'password']) {
      const what = `${JSON.stringify(value)} for ${field}`;
      const { status, body } = await api.client.post<Problem>('/auth/login', {
        email,
        password,
        [field]: value,
      });
      t.deepEqual([status, body.code], [422, 'validation_failed'], what);
      t.true(
        body.errors?.every(({ pointer }) => pointer.startsWith(`#/${field}`)),
        what,
      );
    }
    const reset = await api.client.post('/auth/password/forgot', { email: value });
    t.is(reset.status, 422);
    const resend = await api.client.post('/auth/confirm/resend', { email: value });
    t.is(resend.status, 422);
    const refresh = await api.client.post('/auth/refresh', { refresh_token: value });
    t.is(refresh.status, 422);
    const confirm = await api.client.post('/auth/confirm', { token: value, password });
    t.is(confirm.status, 422);
    const link = { token: 'ct_x', password: value };
    t.is((await api.client.post('/auth/confirm', link)).status, 422);
    t.is((await api.client.post('/auth/password/reset', link)).status, 422);
    if (value === undefined) continue;
    const changed = await admin.client.put('/auth/me', {
      password: value,
      current_password: value,
    });
    t.is(changed.status, 422);
  }
  t.is(await sessions(), before);
  t.deepEqual(
    await context.rows(
      `select from audit_events where event = 'authn_login_fail' and admin_id = $1`,
      [admin.id],
    ),
    [],
    'nobody’s password was tried',
  );
});

const sessions = async (): Promise<number> => (await context.rows('select from sessions')).length;
