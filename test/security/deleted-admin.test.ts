import test from 'ava';
import { mintedToken } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createMailbox } from '../helpers/mailbox.js';
import type { Problem } from '../helpers/problem.js';
import { runWorker } from '../helpers/servers.js';

const context = useSharedContext('api');
const api = useApi(context);
const mailbox = createMailbox(context.stack);
const tokenFor = mintedToken(context);

test('S38 a deleted admin’s tokens are dead, its users are gone, and no mail goes out any more', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const second = await api.admins.logIn(admin);
  const { body: user } = await admin.client.post<{ id: number }>('/users', { email: 'u@x.test' });
  const moved = context.uniqueAddress('moved');
  const asked = { email: moved, current_password: admin.password };
  t.is((await admin.client.put('/auth/me', asked)).status, 200);
  await api.client.post('/auth/confirm/resend', { email: admin.email });
  const again = api.admins.applicant({ email: admin.email });
  await api.client.post('/auth/register', again);
  const links = { again: await tokenFor(admin.email), moved: await tokenFor(moved) };
  await api.client.post('/auth/password/forgot', { email: admin.email });
  const reset = await tokenFor(admin.email);
  const promised = await context.rows<{ id: string }>(
    'select id from outbox where recipient = any($1)',
    [[admin.email, moved]],
  );
  t.is(
    promised.length,
    6,
    'five links, of which one is used and one is to the new address, and a warning',
  );

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

  for (const [token, { password }] of [
    [links.again, again],
    [links.again, admin],
    [links.moved, admin],
  ] as const) {
    const answer = await api.client.post<Problem>('/auth/confirm', { token, password });
    t.deepEqual([answer.status, answer.body.code], [400, 'invalid_token']);
  }
  const renewed = { token: reset, password: again.password };
  t.is((await api.client.post('/auth/password/reset', renewed)).status, 400);

  await runWorker(context, { scope: t });
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
  for (const { password } of [admin, again]) {
    t.is((await api.client.post('/auth/login', { email, password })).status, 401);
  }
});
