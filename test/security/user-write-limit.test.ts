import test, { type ExecutionContext } from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import { createClient, type Answer, type ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import type { Problem } from '../helpers/problem.js';
import { runApi, type RunningServer } from '../helpers/servers.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';

const context = useContext();
// Its limits are those of a service that nobody floods: admins are made here.
const api = useApi(context);

/** 600 writes a minute, scaled down. */
const LIMIT = 6;
const strict = { RATE_LIMIT_SCALE: String(LIMIT / 600) };

let here: RunningServer;
let there: RunningServer;
test.serial.before('start two strict APIs on one database', async () => {
  here = await runApi(context, { env: strict });
  there = await runApi(context, { env: strict });
});

test('S51 an admin’s writes of users are limited, over all instances, routes and addresses of a network', async (t) => {
  const { token, id } = await makeAdmin();
  const [first, second] = [clientOf(here, token), clientOf(there, token)];
  const taken = [
    await first.post('/users', { email: 'a@x.test' }),
    await second.post('/user', { email: 'b@x.test' }),
    await first.put(`/users/${id}`, { name: 'A' }),
    await second.put(`/user?id=${id}`, { name: 'B' }),
    await first.delete(`/users/${id}`),
    await second.delete(`/user?id=${id}`),
  ];
  t.deepEqual(
    taken.map(({ status }) => status),
    [201, 201, 200, 200, 204, 404],
  );
  taken.forEach(({ headers }, i) => {
    t.is(headers.get('ratelimit-limit'), String(LIMIT));
    t.is(headers.get('ratelimit-remaining'), String(LIMIT - 1 - i));
  });

  for (const client of [first, second]) {
    await refused(t, client.post('/users', { email: 'c@x.test' }));
    await refused(t, client.post('/user', { email: 'c@x.test' }));
    await refused(t, client.put(`/users/${id}`, { name: 'C' }));
    await refused(t, client.put(`/user?id=${id}`, { name: 'C' }));
    await refused(t, client.delete(`/users/${id}`));
    await refused(t, client.delete(`/user?id=${id}`));
    t.is((await client.get('/users')).status, 200, 'reading goes on');
  }
  t.deepEqual(await emailsOf(token), ['a@x.test', 'b@x.test']);
});

test('S51 one admin’s flood costs another one nothing; it is recorded once', async (t) => {
  const flooding = await makeAdmin();
  const client = clientOf(here, flooding.token);
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, i) => client.post('/users', { email: `flood-${i}@x.test` })),
  );
  t.is(answers.filter(({ status }) => status === 201).length, LIMIT);
  t.is(answers.filter(({ status }) => status === 429).length, 30 - LIMIT);

  const { token } = await makeAdmin();
  t.is((await clientOf(here, token).post('/users', { email: 'calm@x.test' })).status, 201);
  const events = await context.rows(
    `select details from audit_events where event = 'excess_rate_limit_exceeded' and admin_id = $1`,
    [flooding.admin.id],
  );
  t.deepEqual(events, [{ details: { limit: 'user-writes' } }]);
});

test('S51 a request without a token is not counted, and neither is one to read', async (t) => {
  const { token } = await makeAdmin();
  const [client, nobody] = [clientOf(here, token), createClient(here.url)];
  for (let i = 0; i < LIMIT * 2; i++) {
    t.is((await nobody.post('/users', { email: 'x@x.test' })).status, 401);
    t.is((await client.get('/users')).headers.get('ratelimit-limit'), null);
  }
  t.is((await client.post('/users', { email: 'd@x.test' })).status, 201);
});

test('S51 the limit holds while Redis is gone', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const env = { ...strict, REDIS_URL: proxy.urlFor(context.redisUrl) };
  const client = clientOf(await runApi(context, { scope: t, env }), (await makeAdmin()).token);
  await proxy.refuse();
  const statuses: number[] = [];
  for (let i = 0; i < LIMIT + 1; i++) {
    statuses.push((await client.post('/users', { email: `gone-${i}@x.test` })).status);
  }
  t.deepEqual(statuses.slice(0, 2), [201, 201]);
  t.is(statuses.at(-1), 429);
  t.true(
    statuses.every((status) => status === 201 || status === 429),
    String(statuses),
  );
});

/** An admin with one user, whose limit nothing has been taken of. */
async function makeAdmin(): Promise<{ admin: TestAdmin; token: string; id: number }> {
  const admin = await api.admins.confirmedAdmin();
  const [row] = await context.rows<{ id: number }>(
    `insert into users (admin_id, email, email_canonical) values ($1, 'u@x.test', 'u@x.test') returning id`,
    [admin.id],
  );
  return { admin, token: admin.login.access_token, id: row?.id ?? 0 };
}

const clientOf = ({ url }: RunningServer, token: string): ApiClient => createClient(url).as(token);

async function refused(t: ExecutionContext, given: Promise<Answer>): Promise<void> {
  const { status, body, headers } = await given;
  t.deepEqual([status, (body as Problem).code], [429, 'too_many_attempts']);
  t.is(headers.get('ratelimit-remaining'), '0');
  t.regex(headers.get('retry-after') ?? '', /^[1-9]\d?$/);
  t.is(headers.get('ratelimit-reset'), headers.get('retry-after'));
}

async function emailsOf(token: string): Promise<string[]> {
  const { body } = await clientOf(here, token).get<{ email: string }[]>('/users');
  return body.map(({ email }) => email);
}
