import test from 'ava';
import { mintedToken, type Login, type TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import type { Answer } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';

const context = useContext();
// As many transactions as can be under way, and only what goes wrong in the log.
const api = useApi(context, { env: { POSTGRES_POOL_MAX: '30', LOG_LEVEL: 'warn' } });
const tokenFor = mintedToken(context);

type Act = () => Promise<Answer>;

const ROUNDS = 6;

test.serial(
  'links of one address that are used at once, each with another right password: one admin, one password in force',
  async (t) => {
    for (let round = 0; round < ROUNDS; round += 1) {
      const one = await api.admins.registerAdmin();
      const { email } = one;
      const first = await tokenFor(email);
      const other = await api.admins.registerAdmin({ email });
      const second = await tokenFor(email);
      await api.client.post('/auth/password/forgot', { email });
      const reset = await tokenFor(email);
      const chosen = `a password that a link has set, ${round}`;
      const acts: Act[] = [
        () => api.client.post('/auth/confirm', { token: first, password: one.password }),
        () => api.client.post('/auth/confirm', { token: second, password: other.password }),
        () => api.client.post('/auth/confirm', { token: second, password: one.password }),
        () => api.client.post('/auth/password/reset', { token: reset, password: chosen }),
        () => api.client.post('/auth/register', api.admins.applicant({ email })),
      ];
      const answers = await Promise.all(inOrderOf(round, acts).map((act) => act()));
      t.deepEqual(
        answers.filter(({ status }) => ![200, 202, 204, 400, 403].includes(status)),
        [],
      );
      const rows = await context.rows<{ admins: number; confirmed: number }>(
        `select count(distinct a.id)::int as admins, count(*)::int as confirmed
           from admins a join audit_events e on e.admin_id = a.id and e.event = 'email_confirmed' where a.email = $1`,
        [email],
      );
      t.deepEqual(rows, [{ admins: 1, confirmed: 1 }]);
      const logins = await Promise.all(
        [one.password, other.password, chosen].map((password) =>
          api.client.post('/auth/login', { email, password }),
        ),
      );
      t.is(logins.filter(({ status }) => status === 200).length, 1);
      t.is(logins.filter(({ status }) => status === 401).length, 2);
    }
  },
);

test.serial(
  'all that can happen to one admin, at once: every answer is a good one, and nothing deadlocks',
  async (t) => {
    const rival = await api.admins.confirmedAdmin();
    for (let round = 0; round < ROUNDS; round += 1) {
      const admin = await api.admins.confirmedAdmin();
      const logins = await Promise.all(Array.from({ length: 4 }, () => api.admins.logIn(admin)));
      const acts = [
        ...logins.flatMap(actsOfSession),
        ...logins.flatMap(actsOfSession),
        ...(await actsOfLinks(admin)),
        ...actsOfAccount(admin, rival.email),
        ...actsOfAccount(rival, admin.email),
        // In every other round the admin is gone in the middle of it.
        ...(round % 2 === 0 ? [] : [() => remove(admin)]),
      ];
      const answers = await Promise.all(inOrderOf(round, acts).map((act) => act()));
      t.deepEqual(
        answers.filter(({ status }) => status >= 500).map(({ text }) => text),
        [],
      );
      t.true(answers.some(({ status }) => status < 300));
    }
    await api.server.stop();
    await eventually(async () => (await connections()) === 0, { of: 'the API letting go' });
    t.deepEqual(await context.rows(DEADLOCKS), [{ deadlocks: 0 }]);
  },
);

/** What is done with one session's tokens. */
const actsOfSession = ({ access_token: access, refresh_token: refresh }: Login): Act[] => [
  () => api.client.post('/auth/refresh', { refresh_token: refresh }),
  () => api.client.post('/auth/refresh', { refresh_token: refresh }),
  () => api.client.as(access).post('/auth/logout'),
  () => api.client.as(access).post('/users', { email: context.uniqueAddress('user') }),
];

/** What is done by mailed links, each of them asked for beforehand. */
async function actsOfLinks(admin: TestAdmin): Promise<Act[]> {
  const email = context.uniqueAddress();
  await changeMe(admin, { email });
  await api.client.post('/auth/password/forgot', { email: admin.email });
  const [move, reset] = [await tokenFor(email), await tokenFor(admin.email)];
  // Somebody has registered the address that the admin is about to move to.
  await api.admins.registerAdmin({ email });
  const password = 'a password that a link has set';
  return [
    () => api.client.post('/auth/confirm', { token: move, password: admin.password }),
    () => api.client.post('/auth/confirm', { token: move, password: admin.password }),
    () => api.client.post('/auth/password/reset', { token: reset, password }),
    () => api.client.post('/auth/confirm/resend', { email }),
    () => api.client.post('/auth/register', api.admins.applicant({ email })),
  ];
}

/** What an admin does, and strangers do to it; the other one's address is asked for as well. */
const actsOfAccount = (admin: TestAdmin, othersEmail: string): Act[] => [
  () => changeMe(admin, { password: `another password ${context.id}` }),
  () => changeMe(admin, { email: context.uniqueAddress(), name: context.uniqueAddress('Name') }),
  () => changeMe(admin, { email: context.uniqueAddress() }),
  () => changeMe(admin, { email: othersEmail }),
  () => api.client.post('/auth/password/forgot', { email: admin.email }),
  () => api.client.post('/auth/password/forgot', { email: admin.email }),
  () => api.client.post('/auth/register', api.admins.applicant({ email: admin.email })),
  () => api.client.post('/auth/login', { email: admin.email, password: admin.password }),
  () => admin.client.get('/auth/sessions'),
];

const changeMe = (admin: TestAdmin, changes: object): Promise<Answer> =>
  admin.client.put('/auth/me', { ...changes, current_password: admin.password });

const remove = (admin: TestAdmin): Promise<Answer> =>
  admin.client.delete('/auth/me', { json: { current_password: admin.password } });

/** Each round in another order, the same in every run. */
const inOrderOf = <T>(round: number, items: readonly T[]): T[] =>
  items
    .map((item, i) => ({ item, rank: (i * 31 + round * 17) % items.length }))
    .toSorted((one, other) => one.rank - other.rank)
    .map(({ item }) => item);

const DEADLOCKS = 'select deadlocks::int from pg_stat_database where datname = current_database()';

async function connections(): Promise<number> {
  const [row] = await context.rows<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity
      where datname = current_database() and application_name = 'rollcall-api'`,
  );
  return row?.n ?? 0;
}
