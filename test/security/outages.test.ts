import test from 'ava';
import { createAdmins } from '../helpers/admins.js';
import { createClient, type Answer } from '../helpers/api-client.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { runApi } from '../helpers/servers.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';

shareProcess();

const context = useContext();

const INSIDES = /sequelize|postgres|redis|ECONN|127\.0\.0\.1|timeout|at \S+ \(/i;

for (const how of ['refuse', 'silence'] as const) {
  test.serial(
    `S65 without Redis (${how}) logins are still limited, more tightly, and writes go on`,
    async (t) => {
      const proxy = await openTcpProxy(t, context.redisUrl);
      const api = await runApi(context, {
        scope: t,
        env: { REDIS_URL: proxy.urlFor(context.redisUrl), RATE_LIMIT_SCALE: '1' },
      });
      const client = createClient(api.url);
      const admin = await createAdmins(context, client).confirmedAdmin();
      await proxy[how]();

      t.is((await admin.client.post('/users', { email: context.uniqueAddress() })).status, 201);
      t.is(
        (await client.post('/auth/register', createAdmins(context, client).applicant())).status,
        202,
      );
      const statuses = await Promise.all(
        Array.from({ length: 25 }, async () => {
          const json = { email: context.uniqueAddress(), password: 'a password of nobody at all' };
          return (await client.post('/auth/login', json)).status;
        }),
      );
      t.deepEqual(
        [...new Set(statuses)].toSorted((a, b) => a - b),
        [401, 429],
        statuses.join(),
      );
      const allowed = statuses.filter((status) => status === 401).length;
      t.true(allowed < 20, 'each instance allows less when it counts for itself');
      const ready = await client.get('/health/ready');
      t.is(ready.status, 503);
      t.is((await client.get('/health/live')).status, 200);
      t.false(api.logLines().some((line) => line['http.response.status_code'] === 500));
    },
  );
}

test.serial(
  'S65 without PostgreSQL nothing is let through, and every answer is 503 with Retry-After',
  async (t) => {
    const proxy = await openTcpProxy(t, context.databaseUrl);
    const api = await runApi(context, {
      scope: t,
      env: { DATABASE_URL: proxy.urlFor(context.databaseUrl) },
    });
    const client = createClient(api.url);
    const admin = await createAdmins(context, client).confirmedAdmin();
    await proxy.refuse();
    const asked: readonly (() => Promise<Answer>)[] = [
      () => admin.client.get('/auth/me'),
      () => admin.client.get('/users'),
      () => admin.client.delete('/users/1'),
      () => client.post('/auth/login', { email: admin.email, password: admin.password }),
      () =>
        client.post('/auth/login', { email: admin.email, password: 'a password of nobody at all' }),
      () => client.post('/auth/refresh', { refresh_token: admin.login.refresh_token }),
      () => client.post('/auth/password/forgot', { email: admin.email }),
    ];
    for (const ask of asked) {
      const { status, headers, text } = await ask();
      t.is(status, 503);
      t.regex(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
      t.notRegex(text, INSIDES);
    }
    t.is(
      (await client.as('a.b.c').get('/auth/me')).status,
      401,
      'a forged token needs no database to be refused',
    );
  },
);
