import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import type { ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { isRequest } from '../helpers/processes.js';
import { createFirehoseReader } from '../helpers/firehose.js';
import { userAnswer, type UserAnswer } from '../helpers/samples.js';

const context = useSharedContext('api');
const api = useApi(context);

/** The two forms in which one user is named. */
const forms = {
  '/users/{id}': { collection: '/users', one: (id: number | string) => `/users/${id}` },
  '/user?id=': { collection: '/user', one: (id: number | string) => `/user?id=${id}` },
};

let ann: TestAdmin;
let bob: TestAdmin;
test.serial.before('log in', async () => {
  ann = await api.admins.confirmedAdmin();
  bob = await api.admins.confirmedAdmin();
});

for (const [form, { collection, one }] of Object.entries(forms)) {
  test.serial(`${form}: a user is created, read, changed and deleted`, async (t) => {
    const created = await ann.client.post<UserAnswer>(collection, {
      email: 'Carl@X.test',
      name: 'Carl',
    });
    t.is(created.status, 201);
    const { id } = created.body;
    t.is(created.headers.get('location'), `/users/${id}`);
    t.deepEqual(
      { ...created.body, created_at: '', updated_at: '' },
      userAnswer({ id, email: 'Carl@x.test', name: 'Carl' }),
    );
    t.regex(created.body.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const [row] = await context.rows('select admin_id, email_canonical from users where id = $1', [
      id,
    ]);
    t.deepEqual(row, { admin_id: ann.id, email_canonical: 'carl@x.test' });

    t.deepEqual((await ann.client.get(one(id))).body, created.body);

    const changed = await ann.client.put<UserAnswer>(one(id), { active: false });
    t.is(changed.status, 200);
    t.deepEqual(
      [changed.body.active, changed.body.name, changed.body.email],
      [false, 'Carl', 'Carl@x.test'],
    );
    t.true(changed.body.updated_at > created.body.updated_at);
    t.deepEqual((await ann.client.put<UserAnswer>(one(id), { name: null })).body.name, null);

    const deleted = await ann.client.delete(one(id));
    t.deepEqual([deleted.status, deleted.text], [204, '']);
    t.is((await ann.client.get(one(id))).status, 404);
    t.is((await ann.client.delete(one(id))).status, 404);
    t.deepEqual(await context.rows('select id from users where id = $1', [id]), []);
  });

  test.serial(`${form}: another admin’s user is, byte for byte, one that never was`, async (t) => {
    const { id } = (
      await ann.client.post<UserAnswer>(collection, {
        email: `hers-${collection}@x.test`.replace('/', ''),
      })
    ).body;
    const ask = async (target: number): Promise<string[]> => [
      await told(bob.client, 'GET', one(target)),
      await told(bob.client, 'PUT', one(target), { name: 'Mine now' }),
      await told(bob.client, 'PUT', one(target), { email: 'mine-now@x.test' }),
      await told(bob.client, 'DELETE', one(target)),
    ];
    const never = 2_147_483_647;
    t.deepEqual(await ask(id), await ask(never));
    t.is((await ann.client.get<UserAnswer>(one(id))).body.name, null);
    const notMine = await bob.client.get<{ code: string }>(one(id));
    t.deepEqual([notMine.status, notMine.body.code], [404, 'not_found']);
  });

  test.serial(`${form}: without a token nothing is served`, async (t) => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      t.is((await api.client.request(method, one(1))).status, 401);
    }
    t.is((await api.client.post(collection, { email: 'a@x.test' })).status, 401);
  });
}

test.serial(
  'an address is taken once per admin, in any case; another admin may have it too',
  async (t) => {
    t.is((await ann.client.post('/users', { email: 'dora@x.test' })).status, 201);
    const again = await ann.client.post<{ code: string }>('/users', { email: 'DORA@X.test' });
    t.deepEqual([again.status, again.body.code], [409, 'email_taken']);
    t.is((await bob.client.post('/users', { email: 'dora@x.test' })).status, 201);

    const eve = (await ann.client.post<UserAnswer>('/users', { email: 'eve@x.test' })).body;
    const moved = await ann.client.put<{ code: string }>(`/users/${eve.id}`, {
      email: 'dora@x.test',
    });
    t.deepEqual([moved.status, moved.body.code], [409, 'email_taken']);
    t.is((await ann.client.put(`/users/${eve.id}`, { email: 'EVE@x.test' })).status, 200);
  },
);

test.serial(
  'the JSON of PostgreSQL is that of JavaScript: text, null, and times with zeros at the end',
  async (t) => {
    const shown = {
      email: '"quoted\\ pair"@x.test',
      name: 'Ann \\ "O’Neil" \t\u2028😀',
      active: false,
      created_at: '2026-03-01T00:00:00.100Z',
      updated_at: '2026-03-29T01:59:59.000Z',
    };
    const [row] = await context.rows<{ id: number }>(
      `insert into users (admin_id, email, email_canonical, name, active, created_at, updated_at)
     values ($1, $2, 'json@x.test', $3, $4, $5, $6) returning id`,
      [bob.id, ...Object.values(shown)],
    );
    const id = row?.id ?? 0;
    const { text } = await bob.client.get(`/users/${id}`);
    t.is(text, JSON.stringify({ id, ...shown }));
    const page = await bob.client.get(`/users?limit=100`);
    t.true(page.text.includes(text));
  },
);

test.serial('the same user created twenty times at once is created once', async (t) => {
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => ann.client.post('/users', { email: 'race@x.test' })),
  );
  t.deepEqual(answers.map(({ status }) => String(status)).toSorted(), [
    '201',
    ...Array<string>(19).fill('409'),
  ]);
});

test.serial(
  'a user with a name that is markup, a formula or right-to-left is kept as it is',
  async (t) => {
    for (const [i, name] of [
      '<img src=x onerror=alert(1)>',
      '=HYPERLINK("//evil.test")',
      'محمد',
      "O'Brien; drop table users",
      '\u{1F468}\u{1F3FD} Ŭ',
    ].entries()) {
      const { status, body } = await ann.client.post<UserAnswer>('/users', {
        email: `named-${i}@x.test`,
        name,
      });
      t.deepEqual([status, body.name], [201, name]);
    }
  },
);

test.serial(
  'what an admin does to a user is one log line, on stdout and on the stream',
  async (t) => {
    const headers = { 'x-request-id': 'create-user-story' };
    await ann.client.post('/users', { email: 'logged@x.test', name: 'Logged' }, { headers });
    const line = await api.server.waitForLine(isRequest('create-user-story'));
    t.is(line['user.id'], String(ann.id));
    t.is(line['http.request.method'], 'POST');
    t.is(line['url.path'], '/users');
    t.is(line['http.response.status_code'], 201);
    t.true(Number(line['event.duration']) > 0);
    t.false(api.server.stdout().includes('logged@x.test'));
    t.is(
      (await createFirehoseReader(context).records()).length,
      0,
      'no worker runs, so nothing is shipped yet',
    );
  },
);

test.serial('deleting an admin takes its users along, and nobody else’s', async (t) => {
  const carol = await api.admins.confirmedAdmin();
  await carol.client.post('/users', { email: 'child@x.test' });
  const others = await context.rows('select id from users where admin_id <> $1', [carol.id]);
  t.is(
    (
      await carol.client.request('DELETE', '/auth/me', {
        json: { current_password: carol.password },
      })
    ).status,
    204,
  );
  t.deepEqual(await context.rows('select id from users where admin_id = $1', [carol.id]), []);
  t.deepEqual(await context.rows('select id from admins where id = $1', [carol.id]), []);
  t.is((await context.rows('select id from users')).length, others.length);
  t.is((await carol.client.get('/users')).status, 401);
});

/** Status and body without what names the request. */
async function told(
  client: ApiClient,
  method: string,
  path: string,
  json?: unknown,
): Promise<string> {
  const { status, body } = await client.request<Record<string, unknown>>(
    method,
    path,
    json === undefined ? {} : { json },
  );
  const { request_id: _, instance: __, ...rest } = body;
  return JSON.stringify([status, rest]);
}
