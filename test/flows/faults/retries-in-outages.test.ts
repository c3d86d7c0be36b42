import test from 'ava';
import { createAdmins } from '../../helpers/admins.js';
import { createClient, type Answer } from '../../helpers/api-client.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { IMPATIENT } from '../../helpers/env.js';
import { eventually } from '../../helpers/eventually.js';
import { setReadOnly } from '../../helpers/read-only.js';
import { runApi } from '../../helpers/servers.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

shareProcess();

const context = useContext();
const WRONG = 'certainly not the password';
/** Of one client, in an hour. */
const REGISTRATIONS = 20;
const MAILS = 20;
/** Of one session, in 15 minutes. */
const ACCOUNT_CHANGES = 30;
/** Of one account and network, in 15 minutes. */
const WRONG_PASSWORDS = 5;

type Ask = () => Promise<Answer<{ code?: string }>>;

test.serial(
  'whoever retries while PostgreSQL is down is not locked out when it is back; what was compared counts',
  async (t) => {
    const proxy = await openTcpProxy(t, context.databaseUrl);
    const api = await runApi(context, {
      scope: t,
      env: {
        ...IMPATIENT,
        RATE_LIMIT_SCALE: '1',
        DATABASE_URL: proxy.urlFor(context.databaseUrl),
      },
    });
    const client = createClient(api.url);
    const admins = createAdmins(context, client);
    const { email, password } = await admins.confirmedAdmin();
    const logIn: Ask = () => client.post('/auth/login', { email, password });
    const guess: Ask = () => client.post('/auth/login', { email, password: WRONG });
    const register: Ask = () => client.post('/auth/register', admins.applicant());
    const forgot: Ask = () => client.post('/auth/password/forgot', { email });
    await proxy.refuse();
    for (const [ask, limit] of [
      [logIn, WRONG_PASSWORDS],
      [guess, WRONG_PASSWORDS],
      [register, REGISTRATIONS],
      [forgot, MAILS],
    ] as const)
      for (let i = 0; i < limit; i++) {
        const { status, body } = await ask();
        t.deepEqual([status, body.code], [503, 'unavailable']);
      }
    await proxy.restore();
    await eventually(async () => (await client.get('/health/ready')).status === 200);
    const answers = [await logIn(), await register(), await forgot()];
    t.deepEqual(
      answers.map(({ status }) => status),
      [200, 202, 202],
    );

    for (let i = 0; i < WRONG_PASSWORDS; i++) t.is((await guess()).status, 401);
    t.is((await logIn()).status, 429);
    await proxy.refuse();
    t.is((await logIn()).status, 429, 'an outage gives back nothing that was refused');
    await proxy.restore();
    await eventually(async () => (await client.get('/health/ready')).status === 200);
    t.is((await logIn()).status, 429);
  },
);

test.serial(
  'whoever retries a change while PostgreSQL is read-only is not locked out, and a wrong password counts',
  async (t) => {
    const api = await runApi(context, { scope: t, env: { RATE_LIMIT_SCALE: '1' } });
    const admin = await createAdmins(context, createClient(api.url)).confirmedAdmin();
    const rename: Ask = () => admin.client.put('/auth/me', { name: `${admin.name} x` });
    const guess: Ask = () =>
      admin.client.put('/auth/me', { password: `${admin.password} x`, current_password: WRONG });
    await setReadOnly(context, 'on');
    t.teardown(() => setReadOnly(context, 'off'));
    for (let i = 0; i < ACCOUNT_CHANGES; i++) t.is((await rename()).status, 503);
    for (let i = 0; i < WRONG_PASSWORDS; i++) t.is((await guess()).status, 503);
    await setReadOnly(context, 'off');
    const renamed = await eventually(async () => {
      const answer = await rename();
      return answer.status !== 503 && answer;
    });
    t.is(renamed.status, 200);
    t.is((await guess()).body.code, 'too_many_attempts');
  },
);
