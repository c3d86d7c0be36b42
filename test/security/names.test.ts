import test, { type ExecutionContext } from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import { createClient, type Answer, type ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import type { Problem } from '../helpers/problem.js';
import { runApi, type RunningServer } from '../helpers/servers.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';

const context = useSharedContext('api');
const api = useApi(context);

test.serial(
  'S13 a name that a script or an emoji needs invisible characters for is kept as it is (field: Conversations #1996, defuddle #103)',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    for (const name of [
      'علی\u200cرضا محمدی',
      'ශ\u0dca\u200dරියානි පෙරේරා',
      'Ann \u{1f469}\u200d\u{1f4bb}',
      'Ann \u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}',
    ]) {
      const email = context.uniqueAddress('user');
      const { status, body } = await admin.client.post<{ name: string }>('/users', { email, name });
      t.deepEqual([status, body.name], [201, name]);
      const changed = await admin.client.put<{ name: string }>('/auth/me', { name });
      t.deepEqual([changed.status, changed.body.name], [200, name]);
      const another = await api.admins.confirmedAdmin({ name: `${name} ${context.id}` });
      t.is(
        (await another.client.get<{ name: string }>('/auth/me')).body.name,
        `${name} ${context.id}`,
      );
    }
  },
);

test.serial(
  'S13 a name with nothing to see or with what no text holds is refused at every door (field: discourse PR 21331, garrysmod-issues #5908)',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    const { body: user } = await admin.client.post<{ id: number }>('/users', {
      email: context.uniqueAddress('user'),
    });
    for (const name of [
      '\u3164',
      '\uffa0',
      '\u115f\u1160',
      '\u2800',
      '\u034f',
      '\ufe0f',
      '\u180b',
      '\u17b4',
      '\u0301\u0302',
      '\ue000',
      '\uffff',
      'Ren\ufffd',
      'Tess\u202eBase',
      'Te\u200bss',
      'Te\u00adss',
      'Te\u200dss',
      '=?utf-8?q?Tess?=',
    ]) {
      const answers = [
        await api.client.post<Problem>('/auth/register', api.admins.applicant({ name })),
        await admin.client.put<Problem>('/auth/me', { name }),
        await admin.client.post<Problem>('/users', { email: context.uniqueAddress('user'), name }),
        await admin.client.put<Problem>(`/users/${user.id}`, { name }),
      ];
      for (const { status, body } of answers)
        t.deepEqual(
          [status, body.code, body.errors?.map(({ pointer }) => pointer)],
          [422, 'validation_failed', ['#/name']],
          JSON.stringify(name),
        );
    }
  },
);

test.serial(
  'S13 a name that differs from a confirmed admin’s by what nobody sees or by case is taken (field: mucklet-client #402, cadasta-platform PR 1153)',
  async (t) => {
    const tess = `Tess Base ${context.id}`;
    const karl = `Karl Groß ${context.id}`;
    const alexis = `Αλέξης ${context.id}`;
    const turkish = `Işık ${context.id}`;
    for (const name of [tess, karl, alexis, turkish]) await api.admins.confirmedAdmin({ name });
    const twins = [
      `${tess}\u034f`,
      `${tess}\u3164`,
      tess.replace(' ', '\u115f '),
      tess.replace(' ', '\u2800'),
      `${tess}\u{e0100}`,
      `  ${tess.toUpperCase().replaceAll(' ', '  ')}`,
      tess.replace('Tess', 'Ｔｅｓｓ'),
      karl.toUpperCase(),
      karl.replace('ß', 'ẞ'),
      karl.replace('ß', 'ss'),
      alexis.toUpperCase(),
      alexis.replace('ς', 'σ'),
      turkish.replace('Işık', 'IŞIK'),
      turkish.replace('Işık', 'ışık'),
    ];
    const other = await api.admins.confirmedAdmin();
    for (const name of twins) {
      const shown = JSON.stringify(name);
      const { body } = await api.client.post<Problem>(
        '/auth/register',
        api.admins.applicant({ name }),
      );
      t.is(body.code, 'name_taken', shown);
      t.is((await other.client.put<Problem>('/auth/me', { name })).body.code, 'name_taken', shown);
    }
    // An accent is seen.
    const accented = api.admins.applicant({ name: tess.replace('Base', 'Basé') });
    t.is((await api.client.post('/auth/register', accented)).status, 202);
  },
);

test.serial(
  'S13 an admin’s name mixes no scripts that look alike within a word; users’ names are records (field: element-web #5826)',
  async (t) => {
    const name = 'Тess Base';
    const { status, body } = await api.client.post<Problem>(
      '/auth/register',
      api.admins.applicant({ name }),
    );
    t.deepEqual(
      [status, body.errors],
      [422, [{ pointer: '#/name', detail: 'must not mix scripts that look alike within a word' }]],
    );
    const admin = await api.admins.confirmedAdmin({ name: `Ольга Smith ${context.id}` });
    const email = context.uniqueAddress('user');
    t.is((await admin.client.post('/users', { email, name })).status, 201);
  },
);

test.serial('S18 the bounds of a name are those of its composed form', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const longest = 'ễ'.repeat(100);
  const { status, body } = await admin.client.post<{ name: string }>('/users', {
    email: context.uniqueAddress('user'),
    name: ` ${longest.normalize('NFD')} `,
  });
  t.deepEqual([status, body.name], [201, longest]);
  for (const name of [`${longest}e`, '\u{1f511}'.repeat(101), 'x'.repeat(5_000)]) {
    const tooLong = await admin.client.post<Problem>('/users', {
      email: context.uniqueAddress('user'),
      name,
    });
    t.deepEqual(
      [tooLong.status, tooLong.body.errors],
      [422, [{ pointer: '#/name', detail: 'must be at most 100 characters' }]],
    );
  }
});

// Its limits are those of a service that nobody floods: admins are made here.

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
