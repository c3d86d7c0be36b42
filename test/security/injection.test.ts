import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import type { RequestOptions } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import {
  operationsOf,
  readDocument,
  resolvePointer,
  type DocumentedOperation,
} from '../helpers/openapi.js';
import { sampleBodies } from '../helpers/samples.js';

const context = useContext();
const api = useApi(context, { env: { OPERATOR_EMAILS: `operator@${context.mailDomain}` } });

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
  operator = await api.admins.confirmedAdmin({ email: `operator@${context.mailDomain}` });
});

for (const given of operationsOf(document)) {
  const name = `${given.method} ${given.path}`;
  test.serial(`S48 ${name}: no parameter and no field gets into an SQL statement`, async (t) => {
    const { access_token } = await api.admins.logIn(operator);
    const client = api.client.as(access_token);
    for (const payload of PAYLOADS) {
      for (const [where, path, options] of requestsWith(given, payload)) {
        const { status } = await client.raw(given.method.toUpperCase(), path, options);
        t.true(status < 500, `${payload} as ${where}: ${status}`);
      }
    }
    t.false(await isTripped());
  });
}

test.serial('S48 no header gets into an SQL statement, though some are kept', async (t) => {
  const { email, password } = admin;
  for (const payload of PAYLOADS) {
    for (const header of HEADERS) {
      const headers = { [header]: payload };
      const answers = [
        await api.client.post('/auth/login', { email, password }, { headers }),
        await admin.client.get('/auth/sessions', { headers }),
        await api.client.get('/auth/me', { headers: { ...headers, authorization: payload } }),
      ];
      t.deepEqual(
        answers.map(({ status }) => status),
        [200, 200, 401],
        `${payload} as ${header}`,
      );
    }
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

/** The operation’s request with the payload in each place in turn: where, path, and the rest. */
function requestsWith(
  { path, operation }: DocumentedOperation,
  payload: string,
): [string, string, RequestOptions][] {
  const text = encodeURIComponent(payload);
  const { $ref = '' } = operation.requestBody?.content['application/json']?.schema ?? {};
  const json = sampleBodies[$ref.split('/').at(-1) ?? ''];
  const inPath = path.replace('{id}', '1');
  const inBody = path === '/user' ? '/user?id=1' : inPath;
  const fields = json === undefined ? [] : [...Object.keys(json), payload];
  return [
    ...parametersOf(operation).map((name): [string, string, RequestOptions] => [
      name,
      name === 'id' && path !== '/user' ? path.replace('{id}', text) : `${inPath}?${name}=${text}`,
      json ? { json } : {},
    ]),
    ...fields.map((field): [string, string, RequestOptions] => [
      field,
      inBody,
      { json: { ...json, [field]: payload } },
    ]),
  ];
}

/** The names of an operation’s parameters, and of one that clients of other services would try. */
function parametersOf({ parameters = [] }: DocumentedOperation['operation']): string[] {
  const named = parameters.map(
    (given) => (given.$ref ? resolvePointer(document, given.$ref) : given) as { name: string },
  );
  return [...named.map(({ name }) => name), 'sort'];
}
