import test, { type ExecutionContext } from 'ava';
import pg from 'pg';
import { createAdmins, mintedToken, type TestAdmin } from '../helpers/admins.js';
import { createClient, type Answer } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';

const context = useSharedContext('api');
/** The limits are those of production; behind a proxy, so that each test can be another client. */
const api = useApi(context, { env: { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' } });
const tokenFor = mintedToken(context);

type Refused = Answer<{ code: string; errors?: { pointer: string }[] }>;

let clients = 0;
/** A confirmed admin, who comes from a network of their own. */
const adminElsewhere = (applicant: { email?: string } = {}): Promise<TestAdmin> => {
  const client = createClient(api.server.url, { 'x-forwarded-for': `203.0.${++clients}.1` });
  return createAdmins(context, client).confirmedAdmin(applicant);
};

const change = (
  { client, password }: TestAdmin,
  email: string,
  currentPassword = password,
): Promise<Refused> => client.put('/auth/me', { email, current_password: currentPassword });

const confirm = ({ client, password }: TestAdmin, token: string): Promise<Refused> =>
  client.post('/auth/confirm', { token, password });

const addressOf = async ({ id }: TestAdmin): Promise<Record<string, unknown> | undefined> =>
  (await context.rows('select email, pending_email from admins where id = $1', [id]))[0];

test.serial(
  'the link to a new address asks for the account’s password; a stranger’s registration of the address is worth nothing there',
  async (t) => {
    const admin = await adminElsewhere();
    const email = context.uniqueAddress('new');
    const stranger = await createAdmins(context, admin.client).registerAdmin({ email });
    t.is((await change(admin, email)).status, 200);
    const token = await tokenFor(email);
    for (const password of [`not ${admin.password}`, stranger.password]) {
      const refused: Refused = await admin.client.post('/auth/confirm', { token, password });
      t.deepEqual([refused.status, refused.body.code], [403, 'wrong_password']);
    }
    t.deepEqual(await addressOf(admin), { email: admin.email, pending_email: email });
    const { password } = admin;
    for (let i = 0; i < 2; i += 1)
      t.is((await admin.client.post('/auth/confirm', { token, password })).status, 200);
    t.deepEqual(await addressOf(admin), { email, pending_email: null });
    t.deepEqual(await context.rows('select id from registrations where email = $1', [email]), []);
  },
);

/** The ways in which another admin comes to have an address. */
const takers = {
  'a registration': (email: string) => adminElsewhere({ email }),
  'a change': async (email: string) => {
    const other = await adminElsewhere();
    await change(other, email);
    await confirm(other, await tokenFor(email));
    return other;
  },
};

for (const [by, take] of Object.entries(takers)) {
  test.serial(
    `an address that is taken by ${by} meanwhile: pending_email ends when its link is followed, not before`,
    async (t) => {
      const admin = await adminElsewhere();
      const email = context.uniqueAddress('wanted');
      t.is((await change(admin, email)).status, 200);
      const token = await tokenFor(email);
      const before = await admin.client.raw('GET', '/auth/me');
      const taker = await take(email);
      t.deepEqual(await context.rows('select id from admins where email = $1', [email]), [
        { id: taker.id },
      ]);
      t.is((await admin.client.raw('GET', '/auth/me')).text, before.text, 'it tells nothing');

      t.is((await confirm({ ...admin, password: 'not the password' }, token)).status, 403);
      t.deepEqual(await addressOf(admin), { email: admin.email, pending_email: email });
      for (let i = 0; i < 2; i += 1) {
        const refused = await confirm(admin, token);
        t.deepEqual([refused.status, refused.body.code], [400, 'invalid_token']);
      }
      const { body: me } = await admin.client.get<object>('/auth/me');
      t.like(me, { email: admin.email });
      t.false(Object.hasOwn(me, 'pending_email'));
    },
  );
}

test.serial('a change that is requested while a refused one ends stays pending', async (t) => {
  const [admin, taker] = [await adminElsewhere(), await adminElsewhere()];
  const [taken, next] = [context.uniqueAddress('taken'), context.uniqueAddress('next')];
  t.is((await change(admin, taken)).status, 200);
  const token = await tokenFor(taken);
  const database = await openTransaction(t);
  await database.query(`update admins set email = $2, email_canonical = $2 where id = $1`, [
    taker.id,
    taken,
  ]);
  const confirmed = confirm(admin, token);
  await requestsWait(1);
  const changed = change(admin, next);
  await requestsWait(2);
  await database.query('commit');
  t.is((await confirmed).status, 400);
  t.is((await changed).status, 200);
  t.deepEqual(await addressOf(admin), { email: admin.email, pending_email: next });
  t.is((await confirm(admin, await tokenFor(next))).status, 200);
});

test.serial('a password that is changed after it was compared confirms no address', async (t) => {
  const admin = await adminElsewhere();
  const email = context.uniqueAddress('new');
  t.is((await change(admin, email)).status, 200);
  const token = await tokenFor(email);
  const { password } = admin;
  const refused = await whilePasswordChanges(t, admin, () =>
    admin.client.post<{ code: string }>('/auth/confirm', { token, password }),
  );
  t.deepEqual([refused.status, refused.body.code], [403, 'wrong_password']);
  t.deepEqual(await addressOf(admin), { email: admin.email, pending_email: email });
});

test.serial('a password that is changed after it was compared asks for no address', async (t) => {
  const admin = await adminElsewhere();
  const email = context.uniqueAddress('new');
  const refused = await whilePasswordChanges(t, admin, () => change(admin, email));
  t.deepEqual([refused.status, refused.body.code], [403, 'wrong_password']);
  t.deepEqual(await addressOf(admin), { email: admin.email, pending_email: null });
  t.deepEqual(await context.rows('select id from outbox where recipient = $1', [email]), []);
});

test.serial(
  'a change without the current password says which field is missing, and is no guess (field: wultra/powerauth-webflow#72)',
  async (t) => {
    const admin = await adminElsewhere();
    const { email, password } = admin;
    const asks = [{ email: context.uniqueAddress('new') }, { password: 'a wholly other password' }];
    for (let i = 0; i < 4; i += 1) {
      for (const changes of asks) {
        const refused: Refused = await admin.client.put('/auth/me', changes);
        t.is(refused.status, 422);
        t.deepEqual(
          refused.body.errors?.map(({ pointer }) => pointer),
          ['#/current_password'],
        );
      }
    }
    const failed = `select id from audit_events where admin_id = $1 and event like '%fail'`;
    t.deepEqual(await context.rows(failed, [admin.id]), []);
    t.is((await admin.client.post('/auth/login', { email, password })).status, 200);
    t.is((await change(admin, context.uniqueAddress('new'))).status, 200);
  },
);

test.serial(
  'wrong current passwords lock the session’s changes alone, not the login',
  async (t) => {
    const admin = await adminElsewhere();
    const { email, password } = admin;
    const to = context.uniqueAddress('new');
    for (let i = 0; i < 5; i += 1) t.is((await change(admin, to, `guess ${i}`)).status, 403);
    t.is((await change(admin, to)).status, 429);
    const login = await admin.client.post<{ access_token: string }>('/auth/login', {
      email,
      password,
    });
    t.is(login.status, 200);
    const other = { ...admin, client: api.client.as(login.body.access_token) };
    t.is((await change(other, to)).status, 200, 'another session has its own count');
  },
);

test.serial(
  'an address that six changes within the hour have asked for: 429 and nothing changed (field: dreamwidth#2282)',
  async (t) => {
    const email = context.uniqueAddress('wanted');
    for (const admin of [await adminElsewhere(), await adminElsewhere()])
      for (let i = 0; i < 3; i += 1) t.is((await change(admin, email)).status, 200);
    const late = await adminElsewhere();
    const refused = await change(late, email.toUpperCase());
    t.deepEqual([refused.status, refused.body.code], [429, 'too_many_attempts']);
    t.regex(refused.headers.get('retry-after') ?? '', /^\d{4}$/);
    t.deepEqual(await addressOf(late), { email: late.email, pending_email: null });
    t.is((await change(late, context.uniqueAddress('free'))).status, 200);
  },
);

/** Has a request compare the password, and changes it before the request can go on. */
async function whilePasswordChanges<A>(
  t: ExecutionContext,
  { id }: TestAdmin,
  ask: () => Promise<A>,
): Promise<A> {
  const database = await openTransaction(t);
  await database.query('select id from admins where id = $1 for no key update', [id]);
  const asked = ask();
  await requestsWait(1);
  await database.query(`update admins set password_hash = password_hash || ' ' where id = $1`, [
    id,
  ]);
  await database.query('commit');
  return asked;
}

async function openTransaction(t: ExecutionContext): Promise<pg.Client> {
  const database = new pg.Client({ connectionString: context.databaseUrl });
  await database.connect();
  t.teardown(() => database.end());
  await database.query('begin');
  return database;
}

const requestsWait = (count: number): Promise<unknown> =>
  eventually(
    async () => {
      const [row] = await context.rows<{ n: number }>(
        `select count(*)::int as n from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return row?.n === count;
    },
    { of: `${count} requests waiting for a row` },
  );
