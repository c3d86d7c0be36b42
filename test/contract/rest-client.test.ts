import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { operationsOf, readDocument, resolvePointer } from '../helpers/openapi.js';
import type { Problem } from '../helpers/problem.js';

// What the developer of a client needs beyond the schemas: words that say what to change, and a document that is complete.

const MIN_LENGTH = 20;
const context = useContext();
const api = useApi(context, { env: { PASSWORD_MIN_LENGTH: String(MIN_LENGTH) } });

let admin: TestAdmin;
test.serial.before('log in', async () => {
  admin = await api.admins.confirmedAdmin();
});

test('a fault of a field is told in words that follow its name', async (t) => {
  const { client } = admin;
  const email = { pointer: '#/email' };
  const cases: [body: object, fault: object][] = [
    [{}, { ...email, detail: 'is required' }],
    [{ email: null }, { ...email, detail: 'must be a string' }],
    [{ email: 5 }, { ...email, detail: 'must be a string' }],
    [{ email: ['a@x.test'] }, { ...email, detail: 'must be a string, not a list' }],
    [
      { email: 'words@x.test', active: 'true' },
      { pointer: '#/active', detail: 'must be true or false' },
    ],
  ];
  for (const [body, fault] of cases) {
    const { status, body: problem } = await client.post<Problem>('/users', body);
    t.deepEqual([status, problem.errors], [422, [fault]], JSON.stringify(body));
  }
  const id = 'must be a whole number, 1 to 2147483647';
  for (const [path, detail] of [
    ['/user', 'is required'],
    ['/user?id=1&id=2', 'must be a string, not a list'],
    ['/users/0', id],
    ['/users/2147483648', id],
    ['/users/9007199254740992', id],
    ['/users?cursor=', 'must not be empty'],
    [`/users?cursor=${'x'.repeat(201)}`, 'must be at most 200 characters'],
    ['/auth/admins?logged_in=yes', 'must be `true` or `false`'],
  ] as const) {
    const { status, body: problem } = await client.get<Problem>(path);
    t.deepEqual([status, problem.errors?.map((fault) => fault.detail)], [422, [detail]], path);
  }
});

test('a query that a route does not know is refused, and nothing is changed', async (t) => {
  const { client } = admin;
  const fields = { email: 'kept@x.test', name: 'Kept' };
  const { id } = (await client.post<{ id: number }>('/users', fields)).body;
  const [session] = (await client.get<{ id: number }[]>('/auth/sessions')).body;
  const errors = [{ pointer: '#/dry_run', detail: 'is not a known field' }];
  for (const [method, path, json] of [
    ['GET', `/users/${id}`],
    ['PUT', `/users/${id}`, { name: 'Changed' }],
    ['DELETE', `/users/${id}`],
    ['GET', '/auth/me'],
    ['PUT', '/auth/me', { name: 'Changed' }],
    ['DELETE', '/auth/me', { current_password: admin.password }],
    ['DELETE', `/auth/sessions/${session?.id}`],
  ] as const) {
    const { status, body } = await client.request<Problem>(method, `${path}?dry_run=true`, {
      json,
    });
    t.deepEqual([status, body.errors], [422, errors], `${method} ${path}`);
    const stranger = await api.client.request(method, `${path}?dry_run=true`, { json });
    t.is(stranger.status, 401, `${method} ${path}`);
  }
  t.like((await client.get(`/users/${id}`)).body, { id, ...fields });
  t.like((await client.get('/auth/me')).body, { name: admin.name });
});

test('a body that is too large is told how large it may be', async (t) => {
  const name = 'x'.repeat(33_000);
  const user = await admin.client.post<Problem>('/users', { email: 'large@x.test', name });
  t.deepEqual([user.status, user.body.detail], [413, 'Send at most 16 KiB.']);
  const login = await api.client.post<Problem>('/auth/login', { email: name, password: 'x' });
  t.deepEqual([login.status, login.body.detail], [413, 'Send at most 32 KiB.']);
});

test('the served document has the configured length of new passwords, and else what is committed', async (t) => {
  const { body: served } = await api.client.get('/openapi.json');
  const document = readDocument();
  const requests = ['RegisterRequest', 'UpdateMeRequest', 'ResetPasswordRequest'];
  for (const request of requests) {
    const pointer = `#/components/schemas/${request}/properties/password`;
    t.like(resolvePointer(document, pointer), { minLength: 15 });
    const password = resolvePointer(served as typeof document, pointer) as { minLength: number };
    t.is(password.minLength, MIN_LENGTH, request);
    password.minLength = 15;
  }
  t.deepEqual(served, document);
});

test('a problem has one of the codes that the responses name', (t) => {
  const document = readDocument();
  const problem = resolvePointer(document, '#/components/schemas/Problem/properties/code');
  const { enum: codes } = problem as { readonly enum: readonly string[] };
  const descriptions = operationsOf(document).flatMap(({ operation }) =>
    Object.entries(operation.responses)
      .filter(([status]) => Number(status) >= 400)
      .map(([, given]) => (given.$ref === undefined ? given : resolvePointer(document, given.$ref)))
      .map((response) => (response as { description: string }).description),
  );
  const named = [...descriptions.join('\n').matchAll(/`(\w+)`:/g)].map(([, code = '']) => code);
  // No operation answers to a method that is not its own.
  t.deepEqual([...new Set([...named, 'method_not_allowed'])].toSorted(), [...codes].toSorted());
});

test('an id in an answer has the range of an id in a request', (t) => {
  const document = readDocument();
  const { schema } = resolvePointer(document, '#/components/parameters/IdInPath') as {
    readonly schema: { readonly maximum: number };
  };
  for (const name of ['Admin', 'Session', 'User']) {
    const id = resolvePointer(document, `#/components/schemas/${name}/properties/id`);
    t.like(id, { type: 'integer', exclusiveMinimum: 0, maximum: schema.maximum }, name);
  }
});
