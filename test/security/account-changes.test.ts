import test, { type ExecutionContext } from 'ava';
import { withTransaction } from '../../shared/database/transaction.js';
import { mintedToken, type Login, type TestAdmin } from '../helpers/admins.js';
import { useSystem } from '../helpers/api.js';
import { createClient } from '../helpers/api-client.js';
import { useSharedContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { tokenIn } from '../helpers/mailbox.js';
import type { Problem } from '../helpers/problem.js';
import { runApi } from '../helpers/servers.js';

const context = useSharedContext('system');
const system = useSystem(context);
const tokenFor = mintedToken(context);

interface Me {
  readonly email: string;
  readonly pending_email?: string;
}

const NEW_PASSWORD = 'quite another password than before';

test.serial(
  'S11 a new address needs the password, is told to the old one, and counts once it is confirmed',
  async (t) => {
    const { admins, client, mailbox } = system;
    const admin = await admins.confirmedAdmin();
    const { email } = admins.applicant();
    await needsPassword(t, admin, { email });
    t.deepEqual(await mailbox.mailsTo(email), []);

    const asked = await askForAddress(admin, email);
    t.is(asked.status, 200);
    t.deepEqual([asked.body.email, asked.body.pending_email], [admin.email, email]);
    await mailbox.waitForMail(admin.email, { subject: /new e-mail address was requested/ });
    const mail = await mailbox.waitForMail(email, { subject: /confirm/i });
    t.is(await logIn(email, admin.password), 401);
    t.is(await logIn(admin.email, admin.password), 200);

    const token = tokenIn(mail);
    const mailReader = await client.post<Problem>('/auth/confirm', {
      token,
      password: NEW_PASSWORD,
    });
    t.deepEqual([mailReader.status, mailReader.body.code], [403, 'wrong_password']);
    t.is(await logIn(email, admin.password), 401);
    t.is((await confirm(token, admin)).status, 200);
    t.is(await logIn(admin.email, admin.password), 401);
    t.is((await admins.logIn({ email, password: admin.password })).admin.id, admin.id);
    const { body: me } = await admin.client.get<Me>('/auth/me');
    t.deepEqual([me.email, me.pending_email], [email, undefined]);
  },
);

test.serial(
  'another spelling of the address, and the change that it withdraws, are audited',
  async (t) => {
    const { admins } = system;
    const admin = await admins.confirmedAdmin();
    const pending = admins.applicant().email;
    const audited = async (email: string): Promise<object[]> => {
      const { requestId, status } = await askForAddress(admin, email);
      t.is(status, 200);
      return context.rows(
        `select event, details from audit_events where admin_id = $1 and request_id = $2`,
        [admin.id, requestId],
      );
    };
    const told = (details: object): object[] => [{ event: 'email_change_requested', details }];
    const capital = `${admin.email[0]?.toUpperCase()}${admin.email.slice(1)}`;
    t.deepEqual(await audited(capital), told({ spelling: true, pending_withdrawn: false }));
    t.deepEqual(await audited(capital), [], 'nothing has changed');
    t.is((await audited(pending)).length, 1);
    t.deepEqual(await audited(capital), told({ spelling: false, pending_withdrawn: true }));
    t.is((await audited(pending)).length, 1);
    t.deepEqual(await audited(admin.email), told({ spelling: true, pending_withdrawn: true }));
    const { body: me } = await admin.client.get<Me>('/auth/me');
    t.deepEqual([me.email, me.pending_email], [admin.email, undefined]);
  },
);

test.serial(
  'S10 past three new addresses an hour nothing changes and nobody is mailed, whosever the address is',
  async (t) => {
    const strict = await runApi(context, { scope: t, env: { RATE_LIMIT_SCALE: '1' } });
    const { admins } = system;
    for (const isSomebodys of [true, false]) {
      const admin = await admins.confirmedAdmin();
      const owner = await admins.confirmedAdmin();
      const session = createClient(strict.url).as(admin.login.access_token);
      const ask = (email: string) =>
        session.put<Problem>('/auth/me', { email, current_password: admin.password });
      const last = admins.applicant().email;
      for (const email of [owner.email, admins.applicant().email, last])
        t.is((await ask(email)).status, 200);
      const before = await stateOf(admin, owner);
      for (let i = 0; i < 2; i += 1) {
        const refused = await ask(isSomebodys ? owner.email : admins.applicant().email);
        t.deepEqual([refused.status, refused.body.code], [429, 'too_many_attempts']);
        const retryAfter = Number(refused.headers.get('retry-after'));
        t.true(Number.isInteger(retryAfter) && retryAfter > 0 && retryAfter <= 3_600);
      }
      t.deepEqual(await stateOf(admin, owner), before);

      t.is((await confirm(await tokenFor(last), admin)).status, 200);
      t.is((await admin.client.get<Me>('/auth/me')).body.email, last);
    }
  },
);

test.serial(
  'S51 what one session changes of its account is limited, and no other one with it',
  async (t) => {
    // 30 in a quarter of an hour, scaled down.
    const strict = await runApi(context, { scope: t, env: { RATE_LIMIT_SCALE: '0.2' } });
    const admin = await system.admins.confirmedAdmin();
    const session = createClient(strict.url).as(admin.login.access_token);
    for (let i = 0; i < 6; i++)
      t.is((await session.put('/auth/me', { name: `${admin.name} ${i}` })).status, 200);
    for (const refused of [
      await session.put<Problem>('/auth/me', { name: admin.name }),
      await session.request('DELETE', '/auth/me', { json: { current_password: admin.password } }),
    ]) {
      t.deepEqual([refused.status, (refused.body as Problem).code], [429, 'too_many_attempts']);
      t.regex(refused.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
    }
    t.is((await session.get<Me & { name: string }>('/auth/me')).body.name, `${admin.name} 5`);
    const other = createClient(strict.url).as((await system.admins.logIn(admin)).access_token);
    const json = { current_password: admin.password };
    t.is((await other.request('DELETE', '/auth/me', { json })).status, 204, 'its owner can');
  },
);

test.serial('S20 a new password needs the old one and ends every other session', async (t) => {
  const { admins, client, mailbox } = system;
  const admin = await admins.confirmedAdmin();
  const other = await admins.logIn(admin);
  await needsPassword(t, admin, { password: NEW_PASSWORD });
  t.is((await client.as(other.access_token).get('/auth/me')).status, 200);
  t.is((await eventsOf(admin.id, 'authn_password_change_fail')).length, 1, 'one was no guess');

  const changed = await admin.client.put('/auth/me', {
    password: NEW_PASSWORD,
    current_password: admin.password,
  });
  t.is(changed.status, 200);
  t.is((await eventsOf(admin.id, 'authn_password_change')).length, 1);
  t.is((await client.as(other.access_token).get('/auth/me')).status, 401);
  t.is((await refresh(other)).status, 401);
  t.is((await admin.client.get('/auth/me')).status, 200, 'this session goes on');
  t.is((await refresh(admin.login)).status, 200);
  t.is(await logIn(admin.email, admin.password), 401);
  t.is(await logIn(admin.email, NEW_PASSWORD), 200);
  await mailbox.waitForMail(admin.email, { subject: /password has been changed/ });

  // With the limits of production: what is tried here is counted, for this session alone.
  const strict = await runApi(context, { scope: t, env: { RATE_LIMIT_SCALE: '1' } });
  const session = createClient(strict.url).as(admin.login.access_token);
  const attempt = async (proof: object): Promise<number> =>
    (await session.put('/auth/me', { password: NEW_PASSWORD, ...proof })).status;
  for (let i = 0; i < 7; i++) t.is(await attempt({}), 422, 'what is missing is not counted');
  for (let i = 0; i < 5; i++) t.is(await attempt({ current_password: `wrong ${i}` }), 403);
  t.is(await attempt({ current_password: NEW_PASSWORD }), 429);
  const right = { email: admin.email, password: NEW_PASSWORD };
  const { status, body } = await createClient(strict.url).post<Login>('/auth/login', right);
  t.is(status, 200, 'the login is not affected');
  const another = createClient(strict.url).as(body.access_token);
  const again = { password: `${NEW_PASSWORD} again`, current_password: NEW_PASSWORD };
  t.is((await another.put('/auth/me', again)).status, 200, 'nor is another session');
});

test.serial(
  'S20 what is under way by the old password while it is changed opens no session and changes nothing',
  async (t) => {
    const donor = await system.admins.confirmedAdmin();
    const underWay: readonly ((admin: TestAdmin) => Promise<number>)[] = [
      ({ email, password }) => logIn(email, password),
      async ({ client, password }) => {
        const body = { password: NEW_PASSWORD, current_password: password };
        return (await client.put('/auth/me', body)).status;
      },
      async ({ client, password }) => {
        const body = { email: system.admins.applicant().email, current_password: password };
        return (await client.put('/auth/me', body)).status;
      },
      async ({ client, password }) => {
        const json = { current_password: password };
        return (await client.request('DELETE', '/auth/me', { json })).status;
      },
    ];
    for (const [i, ask] of underWay.entries()) {
      const admin = await system.admins.confirmedAdmin();
      t.is(await askWhileHashChanges(t, admin, donor, ask), i === 0 ? 401 : 403);
      t.is((await admin.client.get<Me>('/auth/me')).body.pending_email, undefined);
      t.is(await logIn(admin.email, donor.password), 200);
      const rows = await context.rows('select id from sessions where admin_id = $1', [admin.id]);
      t.is(rows.length, 2, 'the first one, and the one just now');
    }
  },
);

test.serial(
  'a hash that a login renews while the password is compared is the same password’s',
  async (t) => {
    const asks: readonly ((admin: TestAdmin) => Promise<number>)[] = [
      async ({ client, password }) => {
        const body = { email: system.admins.applicant().email, current_password: password };
        return (await client.put('/auth/me', body)).status;
      },
      async ({ client, password }) => {
        const email = system.admins.applicant().email;
        await client.put('/auth/me', { email, current_password: password });
        const token = await tokenFor(email);
        return (await system.client.post('/auth/confirm', { token, password })).status;
      },
      async ({ client, password }) => {
        const json = { current_password: password };
        return (await client.request('DELETE', '/auth/me', { json })).status;
      },
    ];
    for (const [i, ask] of asks.entries()) {
      const password = `the same for both, of round ${i}`;
      const admin = await system.admins.confirmedAdmin({ password });
      const twin = await system.admins.confirmedAdmin({ password });
      const status = await askWhileHashChanges(t, admin, twin, ask);
      t.is(status, i === asks.length - 1 ? 204 : 200);
    }
  },
);

test.serial('a password set by a mailed link withdraws an open change of address', async (t) => {
  const { admins, client } = system;
  const admin = await admins.confirmedAdmin();
  // Somebody who knows the password wants the account to be at an address of their own.
  const { email: theirs } = admins.applicant();
  await askForAddress(admin, theirs);
  const change = await tokenFor(theirs);

  await client.post('/auth/password/forgot', { email: admin.email });
  const token = await tokenFor(admin.email);
  const reset = await client.post('/auth/password/reset', { token, password: NEW_PASSWORD });
  t.is(reset.status, 204);
  for (const password of [admin.password, NEW_PASSWORD])
    t.is((await confirm(change, { password })).body.code, 'invalid_token');
  t.is((await admin.client.get('/auth/me')).status, 401, 'every session has ended');
  const { admin: me, access_token: accessToken } = await admins.logIn({
    email: admin.email,
    password: NEW_PASSWORD,
  });
  t.is(me.email, admin.email);
  t.is((await client.as(accessToken).get<Me>('/auth/me')).body.pending_email, undefined);
});

test.serial('a confirmed change of address withdraws a password link to the old one', async (t) => {
  const { admins, client } = system;
  const admin = await admins.confirmedAdmin();
  const { email } = admins.applicant();
  await client.post('/auth/password/forgot', { email: admin.email });
  const token = await tokenFor(admin.email);
  await askForAddress(admin, email);
  t.is((await confirm(await tokenFor(email), admin)).status, 200);

  const reset = await client.post<Problem>('/auth/password/reset', {
    token,
    password: NEW_PASSWORD,
  });
  t.deepEqual([reset.status, reset.body.code], [400, 'invalid_token']);
  t.is(await logIn(email, admin.password), 200);
});

test.serial(
  'a password changed with the old one withdraws open links, be they for an address or a password',
  async (t) => {
    const { admins, client } = system;
    const admin = await admins.confirmedAdmin();
    const { email: theirs } = admins.applicant();
    await askForAddress(admin, theirs);
    await client.post('/auth/password/forgot', { email: admin.email });
    const [change, reset] = [await tokenFor(theirs), await tokenFor(admin.email)];

    const body = { password: NEW_PASSWORD, current_password: admin.password };
    const changed = await admin.client.put<Me>('/auth/me', body);
    t.deepEqual([changed.status, changed.body.pending_email], [200, undefined]);
    for (const password of [admin.password, NEW_PASSWORD])
      t.is((await confirm(change, { password })).status, 400);
    const again = { token: reset, password: 'yet another password than that' };
    t.is((await client.post('/auth/password/reset', again)).status, 400);
    t.is(await logIn(admin.email, NEW_PASSWORD), 200);
  },
);

/** A change is refused without the current password and with a wrong one, and nothing is changed. */
async function needsPassword(t: ExecutionContext, admin: TestAdmin, change: object): Promise<void> {
  const before = await stateOf(admin);
  const missing = await admin.client.put<Problem>('/auth/me', change);
  t.deepEqual([missing.status, missing.body.code], [422, 'validation_failed']);
  t.deepEqual(
    missing.body.errors?.map(({ pointer }) => pointer),
    ['#/current_password'],
  );
  const proof = { current_password: `${admin.password}!` };
  const wrong = await admin.client.put<Problem>('/auth/me', { ...change, ...proof });
  t.deepEqual([wrong.status, wrong.body.code], [403, 'wrong_password']);
  t.deepEqual(await stateOf(admin), before);
}

const confirm = (token: string, { password }: { password: string }) =>
  system.client.post<Problem>('/auth/confirm', { token, password });

/** What there is of two admins, and of what was promised to them. */
const stateOf = (...admins: readonly TestAdmin[]): Promise<object[]> =>
  context.rows(
    `select a.email, a.pending_email, a.updated_at,
            (select count(*) from outbox o where o.admin_id = a.id) as mails,
            array(select (c.id, c.superseded_at)::text from confirmations c where c.admin_id = a.id order by id) as links
       from admins a where a.id = any($1) order by a.id`,
    [admins.map(({ id }) => id)],
  );

/** Asks while the admin's hash becomes another's: the old one has been compared when the request comes to the admin's row. */
async function askWhileHashChanges(
  t: ExecutionContext,
  admin: TestAdmin,
  other: TestAdmin,
  ask: (admin: TestAdmin) => Promise<number>,
): Promise<number> {
  const database = openTestDatabase(t, context.databaseUrl);
  const asked = await withTransaction(database, async (transaction) => {
    await database.query(
      `update admins set password_hash = (select password_hash from admins where id = $other) where id = $id`,
      { bind: { id: admin.id, other: other.id }, transaction },
    );
    const status = ask(admin);
    await eventually(isAnyoneWaiting, { of: 'the request waiting for the row' });
    return { status };
  });
  return asked.status;
}

const isAnyoneWaiting = async (): Promise<boolean> => {
  const found = await context.rows(
    `select pid from pg_stat_activity
      where datname = current_database() and application_name = 'rollcall-api' and wait_event_type = 'Lock'`,
  );
  return found.length > 0;
};

const askForAddress = (admin: TestAdmin, email: string) =>
  admin.client.put<Me>('/auth/me', { email, current_password: admin.password });

const logIn = async (email: string, password: string): Promise<number> =>
  (await system.client.post('/auth/login', { email, password })).status;

const refresh = ({ refresh_token: token }: Login) =>
  system.client.post('/auth/refresh', { refresh_token: token });

const eventsOf = (adminId: number, event: string): Promise<object[]> =>
  context.rows('select id from audit_events where admin_id = $1 and event = $2', [adminId, event]);
