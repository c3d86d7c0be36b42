import test from 'ava';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createMailbox } from '../helpers/mailbox.js';
import { startWorker } from '../helpers/processes.js';

const context = useContext();
const api = useApi(context);
const mailbox = createMailbox(context.stack);

test('S38 a deleted admin’s tokens are dead, its users are gone, and no mail goes out any more', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const second = await api.admins.logIn(admin);
  const { body: user } = await admin.client.post<{ id: number }>('/users', { email: 'u@x.test' });
  const moved = context.uniqueAddress('moved');
  const asked = { email: moved, current_password: admin.password };
  t.is((await admin.client.put('/auth/me', asked)).status, 200);
  const promised = await context.rows<{ id: string }>('select id from outbox where admin_id = $1', [
    admin.id,
  ]);
  t.is(promised.length, 3, 'to confirm the registration, to warn, and to confirm the new address');

  const remove = (json: object) => admin.client.request('DELETE', '/auth/me', { json });
  t.is((await remove({})).status, 422);
  t.is((await remove({ current_password: `${admin.password}x` })).status, 403);
  t.is((await admin.client.get('/auth/me')).status, 200);
  t.is((await remove({ current_password: admin.password })).status, 204);

  for (const { access_token, refresh_token } of [admin.login, second]) {
    t.is((await api.client.as(access_token).get('/users')).status, 401);
    t.is((await api.client.post('/auth/refresh', { refresh_token })).status, 401);
  }
  t.is((await remove({ current_password: admin.password })).status, 401);
  for (const table of ['users', 'sessions', 'confirmations']) {
    t.deepEqual(await context.rows(`select id from ${table} where admin_id = $1`, [admin.id]), []);
  }

  await startWorker(context, { scope: t });
  const outcomes = await eventually(async () => {
    const rows = await context.rows<{ state: string; outcome: string }>(
      'select state, outcome from outbox where id = any($1)',
      [promised.map(({ id }) => id)],
    );
    return rows.every(({ state }) => state === 'settled') && rows;
  });
  t.deepEqual([...new Set(outcomes.map(({ outcome }) => outcome))], ['obsolete']);
  t.deepEqual(await mailbox.mailsTo(admin.email), []);
  t.deepEqual(await mailbox.mailsTo(moved), []);

  const { email, name } = admin;
  const heir = await api.admins.confirmedAdmin({ email, name });
  t.not(heir.id, admin.id);
  t.deepEqual((await heir.client.get('/users')).body, []);
  t.is((await heir.client.get(`/users/${user.id}`)).status, 404);
  t.is((await api.client.as(admin.login.access_token).get('/auth/me')).status, 401);
});
