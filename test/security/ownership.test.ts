import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import type { Answer, ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { operationsOf, readDocument, type DocumentedOperation } from '../helpers/openapi.js';
import { comparable } from '../helpers/problem.js';
import { sampleBodies } from '../helpers/samples.js';

const context = useSharedContext('api');
const api = useApi(context, { env: { OPERATOR_EMAILS: `operator@${context.mailDomain}` } });

const operations = operationsOf(readDocument());
const NEVER = 2_147_483_647;

/** Whatever anybody may ask for without a token. What is not listed here is not public. */
const PUBLIC = [
  'get /',
  'get /apidocs',
  'get /openapi.json',
  'get /health/live',
  'get /health/ready',
  'post /auth/register',
  'get /auth/confirm',
  'post /auth/confirm',
  'post /auth/confirm/resend',
  'post /auth/login',
  'post /auth/refresh',
  'post /auth/password/forgot',
  'get /auth/password/reset',
  'post /auth/password/reset',
];
const guarded = operations.filter((operation) => !PUBLIC.includes(nameOf(operation)));

/** Ann owns things; Bob would like to see or change them. */
let ann: TestAdmin;
let bob: TestAdmin;
/** Ann's, by the path that names one. */
let idsOfAnn: Readonly<Record<string, number>>;
let cursorsOfOthers: Readonly<Record<string, string>>;
test.serial.before('give Ann users and sessions', async () => {
  ann = await api.admins.confirmedAdmin({ name: 'Ann Canary' });
  bob = await api.admins.confirmedAdmin();
  const ids: number[] = [];
  for (const email of ['canary-1@x.test', 'canary-2@x.test', 'canary-3@x.test']) {
    const { body } = await ann.client.post<{ id: number }>('/users', { email, name: 'Canary' });
    ids.push(body.id);
  }
  const { body: sessions } = await ann.client.get<{ id: number }[]>('/auth/sessions');
  idsOfAnn = {
    '/users/{id}': ids[0] ?? 0,
    '/user': ids[0] ?? 0,
    '/auth/sessions/{id}': sessions[0]?.id ?? 0,
  };
  const operator = await api.admins.confirmedAdmin({ email: `operator@${context.mailDomain}` });
  cursorsOfOthers = {
    '/users': cursorOf(await ann.client.get('/users?limit=1')),
    '/auth/admins': cursorOf(await operator.client.get('/auth/admins?limit=1')),
  };
});

for (const operation of guarded) {
  const name = nameOf(operation);

  test.serial(
    `S43 ${name} with another admin’s token shows and changes nothing of the first one’s`,
    async (t) => {
      const before = await thingsOf(ann);
      const client = api.client.as((await api.admins.logIn(bob)).access_token);
      if (!takesId(operation)) {
        const answer = await ask(client.request, operation);
        t.notRegex(answer.text + linkOf(answer), /canary/i);
        t.deepEqual(await thingsOf(ann), before);
        return;
      }
      const id = idsOfAnn[operation.path];
      if (id === undefined) throw new Error(`say which id of Ann’s ${operation.path} means`);
      const [hers, never] = [
        await ask(client.request, operation, id),
        await ask(client.request, operation, NEVER),
      ];
      t.is(hers.status, 404);
      t.is(comparable(hers), comparable(never));
      t.deepEqual(headersOf(hers), headersOf(never));
      t.deepEqual(await thingsOf(ann), before);

      const patches = [id, NEVER].map((each) => aim(operation, each));
      for (const path of patches) {
        t.is((await client.request('PATCH', path, { json: { name: 'Mine' } })).status, 405);
      }
    },
  );

  test.serial(`S44 ${name} needs the token of a live session`, async (t) => {
    const before = await thingsOf(ann);
    const gone = await api.admins.logIn(ann);
    await api.client.as(gone.access_token).post('/auth/logout');
    const clients = {
      'no token': api.client,
      'a token that is none': api.client.as('x.y.z'),
      'the token of an ended session': api.client.as(gone.access_token),
    };
    for (const [what, client] of Object.entries(clients)) {
      const id = idsOfAnn[operation.path] ?? NEVER;
      const answer = await ask(client.request, operation, id);
      t.is(comparable(answer).includes('"unauthorized"'), true, `${what}: ${answer.text}`);
      t.is(answer.status, 401, what);
      if (operation.method !== 'get') continue;
      t.is((await client.request('HEAD', aim(operation, id))).status, 401, what);
    }
    t.deepEqual(await thingsOf(ann), before);
  });
}

for (const path of ['/users', '/auth/admins']) {
  test.serial(`S43 the cursor of another admin’s listing is refused: ${path}`, async (t) => {
    const cursor = cursorsOfOthers[path] ?? '';
    const { status, body } = await bob.client.get<{ code: string }>(`${path}?cursor=${cursor}`);
    t.deepEqual([status, body.code], [400, 'invalid_cursor']);
    const other = path === '/users' ? '/auth/admins' : '/users';
    t.is((await ann.client.get(`${other}?cursor=${cursor}`)).status, 400);
  });
}

test.serial(
  'S43 a listing holds the asker’s own and nothing else, however it is asked for',
  async (t) => {
    const { body: mine } = await bob.client.post<{ id: number }>('/users', {
      email: 'bob-1@x.test',
    });
    for (const path of ['/users', '/users?limit=100', '/users?limit=1']) {
      const { body, text } = await bob.client.get<{ id: number }[]>(path);
      t.true(body.some(({ id }) => id === mine.id) || path.endsWith('=1'));
      t.notRegex(text, /canary/i);
    }
    for (const extra of [`admin_id=${ann.id}`, `adminId=${ann.id}`, 'all=true', 'scope=all']) {
      t.is((await bob.client.get(`/users?${extra}`)).status, 422, extra);
    }
  },
);

test.serial('S44 what is public is what the list says, no more', async (t) => {
  t.deepEqual(
    operations
      .filter(({ operation }) => operation.security !== undefined)
      .map(nameOf)
      .toSorted(),
    PUBLIC.toSorted(),
  );
  for (const operation of operations.filter((each) => PUBLIC.includes(nameOf(each)))) {
    const answer = await ask(api.client.raw, operation);
    t.false(answer.text.includes('"code":"unauthorized"'), nameOf(operation));
  }
});

test.serial('S44 an admin who is no operator sees itself alone among the admins', async (t) => {
  for (const query of ['', '?logged_in=true', '?limit=100']) {
    const { body } = await bob.client.get<{ id: number; role: string }[]>(`/auth/admins${query}`);
    t.deepEqual(
      body.map(({ id, role }) => [id, role]),
      [[bob.id, 'admin']],
    );
  }
  t.is((await bob.client.get('/auth/admins?role=operator')).status, 422);
});

function nameOf({ method, path }: DocumentedOperation): string {
  return `${method} ${path}`;
}

/** True when the operation is about one thing that the path or the query names. */
function takesId({ operation }: DocumentedOperation): boolean {
  const references = (operation.parameters ?? []).map(({ $ref }) => $ref ?? '');
  return references.some((reference) => /IdIn(Path|Query)$/.test(reference));
}

function aim(operation: DocumentedOperation, id: number): string {
  if (!takesId(operation)) return operation.path;
  return operation.path.includes('{id}')
    ? operation.path.replace('{id}', String(id))
    : `${operation.path}?id=${id}`;
}

/** Asks with a body that fits, if the operation takes one. */
function ask(send: ApiClient['raw'], given: DocumentedOperation, id = NEVER): Promise<Answer> {
  const { method, operation } = given;
  const content = operation.requestBody?.content['application/json'];
  const name = content?.schema.$ref?.split('/').at(-1);
  const json = name === undefined ? undefined : sampleBodies[name];
  return send(method.toUpperCase(), aim(given, id), json && { json });
}

/** Everything in the database that is the admin’s and lasts; sessions that the tests open and end do not. */
async function thingsOf({ id }: TestAdmin): Promise<object[][]> {
  const queries = [
    'select * from admins where id = $1',
    'select * from users where admin_id = $1 order by id',
    'select * from sessions where admin_id = $1 and ended_at is null order by id',
    'select * from confirmations where admin_id = $1 order by id',
    'select id, name, payload from outbox where admin_id = $1 order by id',
  ];
  return Promise.all(queries.map((sql) => context.rows(sql, [id])));
}

/** Headers that could tell two answers apart. */
function headersOf({ headers }: Answer): string[][] {
  return [...headers].filter(([name]) => !/^(x-request-id|date|ratelimit-.+)$/.test(name));
}

const linkOf = ({ headers }: Answer): string => headers.get('link') ?? '';

function cursorOf(answer: Answer): string {
  const [, cursor] = /[?&]cursor=([^&>]+)/.exec(linkOf(answer)) ?? [];
  if (cursor === undefined) throw new Error(`no next page: ${answer.text}`);
  return cursor;
}
