import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import type { RequestOptions } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import {
  operationsOf,
  readDocument,
  resolvePointer,
  type DocumentedOperation,
} from '../helpers/openapi.js';
import { sampleBodies } from '../helpers/samples.js';

const context = useSharedContext('api');
const api = useApi(context, { env: { OPERATOR_EMAILS: `watched-operator@${context.mailDomain}` } });

const document = readDocument();

/** Evaluated anywhere, in whatever is rolled back later, it moves a sequence; nothing moves one back. */
const TRIPWIRE = `nextval('tripwire')`;

/** One for each place in which a text could end up unquoted: a string, a number, a list, an order, a JSON path. */
const PAYLOADS: readonly string[] = [
  `' or ${TRIPWIRE} > 0 --`,
  `'||${TRIPWIRE}||'`,
  `'; select ${TRIPWIRE}; --`,
  `'); select ${TRIPWIRE}; --`,
  `\\'; select ${TRIPWIRE}; --`,
  `'' or ${TRIPWIRE} > 0 --`,
  `" or ${TRIPWIRE} > 0 --`,
  `1 or ${TRIPWIRE} > 0`,
  `1; select ${TRIPWIRE}`,
  `1) or (${TRIPWIRE} > 0`,
  `(select ${TRIPWIRE})`,
  `1 order by (select ${TRIPWIRE})`,
  `id'->'a')::text = '' or ${TRIPWIRE} > 0 --`,
  `a'||${TRIPWIRE}||'@x.test`,
  `$1' or ${TRIPWIRE} > 0 --`,
  `$adminId :adminId $email :email ?`,
  `$$; select ${TRIPWIRE}; $$`,
  `E'\\x27' or ${TRIPWIRE} > 0 --`,
];

const HEADERS = [
  'user-agent',
  'x-request-id',
  'traceparent',
  'x-forwarded-for',
  'cookie',
  'idempotency-key',
];

let admin: TestAdmin;
let operator: TestAdmin;
test.serial.before('set the tripwire', async () => {
  await context.rows('create sequence tripwire');
  admin = await api.admins.confirmedAdmin();
  operator = await api.admins.confirmedAdmin({ email: `watched-operator@${context.mailDomain}` });
});

for (const given of operationsOf(document)) {
  const name = `${given.method} ${given.path}`;
  test.serial(`S48 ${name}: no parameter and no field gets into an SQL statement`, async (t) => {
    const { access_token } = await api.admins.logIn(operator);
    const client = api.client.as(access_token);
    const requests = [
      ...PAYLOADS.flatMap((payload) => requestsWith(given, payload)),
      ...requestsWithUnknownNames(given),
    ];
    for (const [where, path, options] of requests) {
      const { status } = await client.raw(given.method.toUpperCase(), path, options);
      t.true(status < 500, `${where}: ${status}`);
    }
    t.false(await isTripped());
  });
}

test.serial('S48 no header gets into an SQL statement, though some are kept', async (t) => {
  const { email, password } = admin;
  for (const payload of PAYLOADS) {
    const headers = Object.fromEntries(HEADERS.map((header) => [header, payload]));
    const answers = [
      await api.client.post('/auth/login', { email, password }, { headers }),
      await admin.client.get('/auth/sessions', { headers }),
      await api.client.get('/auth/me', { headers: { ...headers, authorization: payload } }),
    ];
    t.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 401],
      payload,
    );
  }
  t.false(await isTripped());
});

test.serial('S48 texts that look like SQL are kept as they are', async (t) => {
  for (const [i, name] of PAYLOADS.entries()) {
    if (name.length > 100) continue;
    const created = await admin.client.post<{ id: number; name: string }>('/users', {
      email: `o'brien+${i}@x.test`,
      name,
    });
    t.is(created.body.name, name);
    const read = await admin.client.get<{ name: string }>(`/users/${created.body.id}`);
    t.is(read.body.name, name);
  }
  t.false(await isTripped());
});

test.serial(
  'S48 the tripwire trips: a statement that was put together from texts moves it',
  async (t) => {
    await context.rows(`select id from users where name = '${PAYLOADS[0]}'`);
    t.true(await isTripped());
  },
);

async function isTripped(): Promise<boolean | undefined> {
  const [row] = await context.rows<{ is_called: boolean }>('select is_called from tripwire');
  return row?.is_called;
}

type Attempt = [where: string, path: string, options: RequestOptions];

/** The operation’s request with the payload in each place in turn. */
function requestsWith(given: DocumentedOperation, payload: string): Attempt[] {
  const { path } = given;
  const text = encodeURIComponent(payload);
  const { json, inPath, inBody } = targetsOf(given);
  return [
    ...parametersOf(given).map((name): Attempt => [
      `${payload} as ${name}`,
      name === 'id' && path !== '/user' ? path.replace('{id}', text) : `${inPath}?${name}=${text}`,
      json ? { json } : {},
    ]),
    ...Object.keys(json ?? {}).map((field): Attempt => [
      `${payload} as ${field}`,
      inBody,
      { json: { ...json, [field]: payload } },
    ]),
  ];
}

/** Names that the operation does not know are refused by what they are: a few requests carry every payload. */
function requestsWithUnknownNames(given: DocumentedOperation): Attempt[] {
  const { json, inPath, inBody } = targetsOf(given);
  const body = json ? { json } : {};
  const half = PAYLOADS.length / 2;
  // One that clients of other services would try; a request line has its limit.
  const queries = [PAYLOADS.slice(0, half), PAYLOADS.slice(half)].map((payloads) =>
    payloads.map((payload, i) => `sort${i || ''}=${encodeURIComponent(payload)}`).join('&'),
  );
  const fields = Object.fromEntries(PAYLOADS.map((payload) => [payload, payload]));
  return [
    ...queries.map((query): Attempt => ['sort', `${inPath}?${query}`, body]),
    ...(json ? [['a name', inBody, { json: { ...json, ...fields } }] satisfies Attempt] : []),
  ];
}

/** What the operation is asked with otherwise, and where. */
function targetsOf({ path, operation }: DocumentedOperation) {
  const { $ref = '' } = operation.requestBody?.content['application/json']?.schema ?? {};
  const json = sampleBodies[$ref.split('/').at(-1) ?? ''];
  const inPath = path.replace('{id}', '1');
  return { json, inPath, inBody: path === '/user' ? '/user?id=1' : inPath };
}

/** The names of an operation’s parameters. */
function parametersOf({ operation: { parameters = [] } }: DocumentedOperation): string[] {
  const named = parameters.map(
    (given) => (given.$ref ? resolvePointer(document, given.$ref) : given) as { name: string },
  );
  return named.map(({ name }) => name);
}
