import test, { type ExecutionContext } from 'ava';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formatsPlugin from 'ajv-formats';
import { useApi } from '../helpers/api.js';
import type { ApiClient, RequestOptions } from '../helpers/api-client.js';
import { useSharedContext } from '../helpers/context.js';
import { operationsOf, readDocument, type DocumentedOperation } from '../helpers/openapi.js';
import { handedOver } from '../helpers/outbox.js';
import { brokenBodies, brokenIds, foreignValues, sampleBodies } from '../helpers/samples.js';
import { fingerprint } from '../helpers/schema.js';

const context = useSharedContext('api');
const api = useApi(context);

const document = readDocument();
const operations = operationsOf(document);
const ajv = new Ajv2020({ strict: false });
formatsPlugin.default(ajv);
ajv.addSchema(document, 'openapi');

let client: ApiClient;
let userId: number;
let sessionId: number;
test.serial.before('log in', async () => {
  const admin = await api.admins.confirmedAdmin();
  ({ client } = admin);
  userId = (await client.post<{ id: number }>('/users', { email: 'only@x.test' })).body.id;
  sessionId = (await client.get<{ id: number }[]>('/auth/sessions')).body[0]?.id ?? 0;
});

// Serial tests of a file follow one another: nobody else writes between this one and the last.
let rowsBefore: string;
test.serial('the rows rest before the requests that are refused', async (t) => {
  await handedOver(context);
  rowsBefore = await fingerprint(context);
  t.is(await fingerprint(context), rowsBefore);
});

test('there is a sample body for every request of the document', (t) => {
  const names = Object.keys(document.components['schemas'] ?? {}).filter((name) =>
    name.endsWith('Request'),
  );
  t.deepEqual(Object.keys(sampleBodies).toSorted(), names.toSorted());
  for (const name of names) t.true(fits(name, sampleBodies[name]), name);
});

test('the document tells that a change changes something, and that a cursor is not empty', (t) => {
  for (const name of ['UpdateUserRequest', 'UpdateMeRequest']) t.false(fits(name, {}), name);
  const cursor = 'openapi#/components/parameters/Cursor/schema';
  t.false(ajv.validate(cursor, ''));
  t.true(ajv.validate(cursor, 'x'));
});

/** Names of fields, and the URI fragments that point at them. */
const awkwardNames = {
  'a b': '#/a%20b',
  'ä %/~"': '#/%C3%A4%20%25~1~0%22',
  '^`{|}<>\\#': '#/%5E%60%7B%7C%7D%3C%3E%5C%23',
  "-._~0!$&'()*+,;=:@?": "#/-._~00!$&'()*+,;=:@?",
  'x\ud800': '#/x%EF%BF%BD',
  '\ud83d\ude00': '#/%F0%9F%98%80',
};

// In turns: hundreds of requests at once would be answered by 503, rightly.
for (const given of operations.filter(({ operation }) => operation.requestBody)) {
  const { method, path } = given;
  const schemaName = bodySchemaOf(given);
  const sample = sampleBodies[schemaName] ?? {};
  const ask = (t: ExecutionContext, what: string, options: RequestOptions): Promise<number> =>
    refused(t, `${method} ${path} with ${what}`, method, aimed(path), options);

  test.serial(
    `${method} ${path}: a field of another type or with an impossible text is refused`,
    async (t) => {
      for (const field of Object.keys(sample)) {
        for (const [what, value] of Object.entries(foreignValues)) {
          const json = { ...sample, [field]: value };
          if (isAcceptable(schemaName, json, field, what)) continue;
          t.true([400, 401, 403, 422].includes(await ask(t, `${what} for ${field}`, { json })));
        }
      }
    },
  );

  test.serial(`${method} ${path}: an unknown field is refused by name`, async (t) => {
    for (const field of [
      'extra',
      'id',
      'admin_id',
      'confirmed_at',
      'role',
      'password_hash',
      'a/b~c',
    ]) {
      if (field in sample) continue;
      const answer = await client.request<{ errors: { pointer: string }[] }>(
        method.toUpperCase(),
        aimed(path),
        {
          json: { ...sample, [field]: 1 },
        },
      );
      t.is(answer.status, 422);
      const pointer = `#/${field.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      t.true(
        answer.body.errors.some((fault) => fault.pointer === pointer),
        JSON.stringify(answer.body),
      );
    }
    for (const [field, pointer] of Object.entries(awkwardNames)) {
      const json = { ...sample, [field]: 1 };
      const { status, body } = await client.request<{ errors: { pointer: string }[] }>(
        method.toUpperCase(),
        aimed(path),
        { json },
      );
      t.is(status, 422);
      const pointers = body.errors.map((fault) => fault.pointer);
      t.true(pointers.includes(pointer), pointers.join(' '));
    }
    const body = `{"__proto__":{"admin":true},${JSON.stringify(sample).slice(1)}`;
    t.is(await ask(t, '__proto__', { body, headers: { 'content-type': 'application/json' } }), 422);
  });

  test.serial(`${method} ${path}: a body that is no JSON object is refused`, async (t) => {
    const headers = { 'content-type': 'application/json' };
    for (const [what, body] of Object.entries(brokenBodies)) {
      t.is(await ask(t, what, { body, headers }), 400, what);
    }
    const status = await ask(t, 'nothing', { body: '', headers });
    t.true(status === 400 || status === 422, 'nothing at all is no object, or one without fields');
  });

  test.serial(
    `${method} ${path}: a body of another type, charset or coding is refused`,
    async (t) => {
      const body = JSON.stringify(sample);
      for (const type of [
        'text/plain',
        'application/xml',
        'application/json; charset=utf-16',
        'application/json-patch+json',
        'nonsense',
        '',
      ]) {
        t.is(await ask(t, `type ${type}`, { body, headers: { 'content-type': type } }), 415, type);
      }
      const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
      t.is(await ask(t, 'gzip', { body, headers }), 415);
    },
  );

  test.serial(
    `${method} ${path}: a body that is too large, too deep or too wide is refused`,
    async (t) => {
      t.is(await ask(t, '64 KiB', { json: { ...sample, extra: 'x'.repeat(65_536) } }), 413);
      t.is(
        await ask(t, '40 fields', {
          json: Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, i])),
        }),
        400,
      );
      t.is(
        await ask(t, 'a deep field', { json: { ...sample, extra: [[[[[[[[[[1]]]]]]]]]] } }),
        400,
      );
    },
  );
}

for (const { method, path, operation } of operations.filter((each) => each.method !== 'get')) {
  const json = sampleBodies[bodySchemaOf({ method, path, operation })];
  const isOfOne = path.includes('{id}') || (path === '/user' && method !== 'post');
  const falseOnes = [
    { 'if-match': '"x"' },
    { 'if-match': 'W/"x", "*"' },
    { 'if-match': '' },
    ...(method === 'post' ? [] : [{ 'if-none-match': '*' }]),
  ];
  const ask = (t: ExecutionContext, target: string, headers: Readonly<Record<string, string>>) =>
    refused(t, `${target} ${JSON.stringify(headers)}`, method, target, { json, headers });

  test.serial(`${method} ${path}: a change under a false precondition is refused`, async (t) => {
    const target = aimed(path, path.startsWith('/user') ? userId : sessionId);
    for (const headers of falseOnes) t.is(await ask(t, target, headers), 412);
  });

  if (isOfOne) {
    test.serial(`${method} ${path}: no precondition is looked at where nothing is`, async (t) => {
      for (const headers of falseOnes) {
        t.is(await ask(t, aimed(path), headers), 404, JSON.stringify(headers));
        t.is(await ask(t, aimed(path, 'x'), headers), 422, JSON.stringify(headers));
      }
    });
  }
}

for (const { method, path, operation } of operations) {
  const body = operation.requestBody ? { json: sampleBodies['UpdateUserRequest'] } : {};
  const hasId = path.includes('{id}');
  const takesQuery = method === 'get' && operation.security === undefined && operation.parameters;

  if (hasId || (path === '/user' && method !== 'post')) {
    test.serial(`${method} ${path}: an id that no row can have is refused`, async (t) => {
      for (const id of brokenIds) {
        const target = hasId ? path.replace('{id}', id) : `${path}?id=${id}`;
        const status = await refused(t, `${method} ${target}`, method, target, body);
        t.true([400, 404, 422].includes(status), `${target}: ${status}`);
      }
    });
  }

  if (takesQuery && !hasId) {
    test.serial(
      `${method} ${path}: an unknown, doubled or nested parameter is refused`,
      async (t) => {
        const queries = [
          'extra=1',
          'id=1&id=2',
          'id[]=1',
          'id[$gt]=0',
          'limit=1&limit=2',
          '__proto__[x]=1',
          'constructor=1',
        ];
        for (const query of queries) {
          t.is(await refused(t, `${path}?${query}`, 'get', `${path}?${query}`), 422, query);
        }
      },
    );
  }
}

for (const path of ['/users', '/auth/admins']) {
  test.serial(`get ${path}: a limit or cursor that cannot be is refused`, async (t) => {
    for (const limit of ['0', '101', '-1', '1.0', 'all', '', '1e1', '9'.repeat(40)]) {
      t.is(await refused(t, `limit ${limit}`, 'get', `${path}?limit=${limit}`), 422, limit);
    }
    for (const cursor of [
      'x',
      '1.AAAAAAAAAAAAAAAAAAAAAA',
      'zzzzzzz.AAAAAAAAAAAAAAAAAAAAAA',
      '%00',
      "'",
    ]) {
      t.is(await refused(t, `cursor ${cursor}`, 'get', `${path}?cursor=${cursor}`), 400, cursor);
    }
    for (const cursor of ['', 'x'.repeat(300)]) {
      t.is(await refused(t, `cursor ${cursor}`, 'get', `${path}?cursor=${cursor}`), 422, cursor);
    }
  });
}

test.serial('no refused request has changed the database', async (t) => {
  t.is(await fingerprint(context), rowsBefore);
});

/** Asks, and resolves to the status; the client has held the answer against the document. */
async function refused(
  t: ExecutionContext,
  what: string,
  method: string,
  path: string,
  options: RequestOptions = {},
): Promise<number> {
  const { status, headers } = await client.request(method.toUpperCase(), path, options);
  t.true(status >= 400 && status < 500, `${what}: ${status}`);
  t.is(headers.get('content-type'), 'application/problem+json', what);
  return status;
}

function fits(schemaName: string, body: unknown): boolean {
  return ajv.validate(`openapi#/components/schemas/${schemaName}`, body) === true;
}

/** A password may be any text; elsewhere the document's schema cannot tell a good text from a bad one. */
function isAcceptable(schemaName: string, body: object, field: string, what: string): boolean {
  if (!fits(schemaName, body)) return false;
  const isText = typeof foreignValues[what] === 'string';
  return !isText || (field === 'password' && what === 'a line break');
}

function bodySchemaOf({ operation }: DocumentedOperation): string {
  return operation.requestBody?.content['application/json']?.schema.$ref?.split('/').at(-1) ?? '';
}

/** A path that means a row, by default none at all, so that only the body can be at fault. */
function aimed(path: string, id: number | string = 2_147_483_647): string {
  return path === '/user' ? `/user?id=${id}` : path.replace('{id}', String(id));
}
