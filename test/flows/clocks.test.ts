import test from 'ava';
import type { Login } from '../helpers/admins.js';
import { useSystem } from '../helpers/api.js';
import { withClockOff } from '../helpers/clock.js';
import { useContext } from '../helpers/context.js';
import { tokenIn } from '../helpers/mailbox.js';
import { ageRotations } from '../helpers/rotations.js';

// A file with a process of its own: others in it would have the wrong time too.
const context = useContext();
const system = useSystem(context);

const SECOND = 1_000;
const DAY = 86_400_000;

test.serial('an API whose clock is a week late sends links that are valid', async (t) => {
  const who = await withClockOff(-7 * DAY, () => system.admins.registerAdmin());
  const confirmation = await system.mailbox.waitForMail(who.email, { subject: /confirm/i });
  const answer = { token: tokenIn(confirmation), password: who.password };
  t.is((await system.client.post('/auth/confirm', answer)).status, 200);
  const { email } = who;
  await withClockOff(-7 * DAY, () => system.client.post('/auth/password/forgot', { email }));
  const reset = await system.mailbox.waitForMail(email, { subject: /password/i });
  const page = await system.client.get(`/auth/password/reset?token=${tokenIn(reset)}`);
  t.is(page.status, 200);
});

test.serial('whether a link has expired does not depend on the clock of the API', async (t) => {
  const who = await system.admins.registerAdmin();
  const mail = await system.mailbox.waitForMail(who.email, { subject: /confirm/i });
  const token = tokenIn(mail);
  const page = () => system.client.get(`/auth/confirm?token=${token}`);
  const confirm = () => system.client.post('/auth/confirm', { token, password: who.password });
  const setExpiry = (interval: string) =>
    context.rows(
      'update confirmations set expires_at = now() + $2::interval where email_canonical = $1',
      [who.email, interval],
    );
  await setExpiry('-1 minute');
  t.deepEqual(await withClockOff(-7 * DAY, () => statusesOf(page, confirm)), [400, 400]);
  await setExpiry('1 minute');
  t.deepEqual(await withClockOff(7 * DAY, () => statusesOf(page, confirm)), [200, 200]);
  t.deepEqual(await withClockOff(7 * DAY, () => statusesOf(page, confirm)), [200, 200], 'again');
  await setExpiry('-1 minute');
  t.deepEqual(await withClockOff(-7 * DAY, () => statusesOf(page, confirm)), [400, 400], 'used');
});

test.serial(
  'S36 a refresh at an API whose clock is late is no theft when it is repeated elsewhere',
  async (t) => {
    const { login, id } = await system.admins.confirmedAdmin();
    const { body: second } = await withClockOff(-15 * SECOND, () => refresh(login.refresh_token));
    t.is((await refresh(second.refresh_token)).status, 200);
    t.is((await refresh(login.refresh_token)).status, 200);
    t.is(await endOf(id), null);
  },
);

test.serial(
  'S36 a repeated refresh at an API whose clock is early is no theft either',
  async (t) => {
    const { login, id } = await system.admins.confirmedAdmin();
    const { body: second } = await refresh(login.refresh_token);
    await withClockOff(15 * SECOND, async () => {
      t.is((await refresh(second.refresh_token)).status, 200);
      t.is((await refresh(login.refresh_token)).status, 200);
    });
    t.is(await endOf(id), null);
  },
);

test.serial(
  'S35 the theft of a refresh token shows whichever API has a clock that is wrong',
  async (t) => {
    for (const [refreshedAt, repeatedAt] of [
      [60 * SECOND, 0],
      [0, -60 * SECOND],
    ] as const) {
      const { login, id } = await system.admins.confirmedAdmin();
      await withClockOff(refreshedAt, async () => {
        const { body: second } = await refresh(login.refresh_token);
        t.is((await refresh(second.refresh_token)).status, 200);
      });
      await ageRotations(context, id, 13);
      const stolen = await withClockOff(repeatedAt, () => refresh(login.refresh_token));
      t.deepEqual([stolen.status, await endOf(id)], [401, 'reuse']);
    }
  },
);

test.serial('when a session expires does not depend on the clock of the API', async (t) => {
  const { login, id } = await system.admins.confirmedAdmin();
  const setExpiry = (interval: string) =>
    context.rows('update sessions set expires_at = now() + $2::interval where admin_id = $1', [
      id,
      interval,
    ]);
  await setExpiry('1 hour');
  const early = await withClockOff(7 * DAY, () => refresh(login.refresh_token));
  t.is(early.status, 200);
  t.true(Math.abs(early.body.refresh_expires_in - 3_600) < 60);
  await setExpiry('-1 minute');
  t.is((await withClockOff(-7 * DAY, () => refresh(early.body.refresh_token))).status, 401);
});

test.serial('an API whose clock is a week late dates nothing in the database by it', async (t) => {
  const { admins, mailbox } = system;
  await withClockOff(-7 * DAY, async () => {
    const who = await admins.confirmedAdmin();
    const { email, password, login, client } = who;
    t.true(login.refresh_expires_in > 29 * 86_400);
    const { body } = await client.post<{ id: number }>('/users', { email });
    t.is((await client.put(`/users/${body.id}`, { name: 'Renamed' })).status, 200);
    t.is((await client.put('/auth/me', { name: `${who.name}, too` })).status, 200);
    const newEmail = context.uniqueAddress();
    const change = { email: newEmail, current_password: password };
    t.is((await client.put('/auth/me', change)).status, 200);
    const token = tokenIn(await mailbox.waitForMail(newEmail));
    t.is((await system.client.post('/auth/confirm', { token, password })).status, 200);
    const newPassword = { password: `${password}, too`, current_password: password };
    t.is((await client.put('/auth/me', newPassword)).status, 200);
    await refresh(login.refresh_token);
    t.is((await client.post('/auth/logout')).status, 204);
  });
  const columns = await context.rows<{ table: string; column: string }>(
    `select table_name as "table", column_name as "column" from information_schema.columns
      where table_schema = 'public' and data_type = 'timestamp with time zone'
        and table_name in ('admins', 'users', 'sessions', 'registrations', 'confirmations', 'outbox', 'audit_events')`,
  );
  t.true(columns.length > 20);
  for (const { table, column } of columns) {
    const late = await context.rows(
      `select from ${table} where ${column} < now() - interval '2 days'`,
    );
    t.is(late.length, 0, `${table}.${column}`);
  }
});

const refresh = (token: string) =>
  system.client.post<Login>('/auth/refresh', { refresh_token: token });

async function endOf(adminId: number): Promise<string | null | undefined> {
  const [row] = await context.rows<{ ended_reason: string | null }>(
    'select ended_reason from sessions where admin_id = $1',
    [adminId],
  );
  return row?.ended_reason;
}

async function statusesOf(
  ...requests: readonly (() => Promise<{ readonly status: number }>)[]
): Promise<number[]> {
  const statuses: number[] = [];
  for (const request of requests) statuses.push((await request()).status);
  return statuses;
}
