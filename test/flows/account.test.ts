import test from 'ava';
import { mintedToken } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';

const context = useSharedContext('api');
const api = useApi(context);

interface Me {
  readonly id: number;
  readonly name: string;
  readonly email: string;
  readonly confirmed_at: string;
}

test.serial('GET /auth/me tells who asks, and nothing of the password', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { status, body, text } = await admin.client.get<Me>('/auth/me');
  t.is(status, 200);
  t.deepEqual([body.id, body.email, body.name], [admin.id, admin.email, admin.name]);
  t.regex(body.confirmed_at, /^\d{4}-/);
  t.false(text.includes('hash') || text.includes(admin.password));
});

test.serial(
  'PUT /auth/me changes the name; a confirmed admin’s name in any case is taken',
  async (t) => {
    const [ann, bob] = [await api.admins.confirmedAdmin(), await api.admins.confirmedAdmin()];
    const renamed = await ann.client.put<Me>('/auth/me', { name: `  ${ann.name} the First ` });
    t.deepEqual([renamed.status, renamed.body.name], [200, `${ann.name} the First`]);
    const taken = await bob.client.put<{ code: string }>('/auth/me', {
      name: `${ann.name} THE FIRST`,
    });
    t.deepEqual([taken.status, taken.body.code], [409, 'name_taken']);
    t.is((await bob.client.get<Me>('/auth/me')).body.name, bob.name);
    t.is((await ann.client.put('/auth/me', { name: ann.name.toUpperCase() })).status, 200);
  },
);

test.serial(
  'DELETE /auth/me needs the right password, ends every session, and frees address and name',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    const second = await api.admins.logIn(admin);
    const ask = (password: string) =>
      admin.client.request<{ code: string }>('DELETE', '/auth/me', {
        json: { current_password: password },
      });
    const refused = await ask('not the password');
    t.deepEqual([refused.status, refused.body.code], [403, 'wrong_password']);
    t.is((await admin.client.get('/auth/me')).status, 200);

    t.is((await ask(admin.password)).status, 204);
    t.is((await admin.client.get('/auth/me')).status, 401);
    t.is((await api.client.as(second.access_token).get('/auth/me')).status, 401);
    t.is(
      (await api.client.post('/auth/refresh', { refresh_token: second.refresh_token })).status,
      401,
    );
    const { email, password, name } = admin;
    t.is((await api.client.post('/auth/login', { email, password })).status, 401);

    const again = await api.admins.confirmedAdmin({ email, name });
    t.not(again.id, admin.id);
  },
);

test.serial('a link whose registrations are gone confirms nobody', async (t) => {
  const { email, password } = await api.admins.registerAdmin();
  const token = await mintedToken(context)(email);
  await context.rows('delete from registrations where email_canonical = $1', [email]);
  t.is((await api.client.post('/auth/confirm', { token, password })).status, 400);
});

test.serial('links of an admin who is gone do nothing, whatever they were for', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const { email, password } = admin;
  const used = await mintedToken(context)(email);
  const changed = context.uniqueAddress();
  await admin.client.put('/auth/me', { email: changed, current_password: password });
  await api.client.post('/auth/password/forgot', { email });
  const [move, reset] = [await mintedToken(context)(changed), await mintedToken(context)(email)];
  await admin.client.delete('/auth/me', { json: { current_password: password } });
  for (const token of [used, move])
    t.is((await api.client.post('/auth/confirm', { token, password })).status, 400);
  t.is((await api.client.post('/auth/password/reset', { token: reset, password })).status, 400);
  t.is((await api.client.post('/auth/login', { email, password })).status, 401);
});
