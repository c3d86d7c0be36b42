import fc from 'fast-check';
import {
  operationsOf,
  resolvePointer,
  type DocumentedOperation,
  type OpenApiDocument,
} from '../helpers/openapi.js';
import { brokenBodies, brokenIds, foreignValues } from '../helpers/samples.js';

/** What only the run knows, by the name that recipes have for it. */
export type World = Readonly<Record<string, string>>;

/** A request to be: `<<name>>` in any text of it stands for what the run knows under that name. */
export interface Recipe {
  /** The operation that it is aimed at, as `post /users`. */
  readonly operation: string;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}
interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema: Schema;
}

/** Texts that somebody will try: on parsers, on SQL, on shells, on pages, on mails, on logs. */
const hostileTexts = [
  '',
  ' ',
  '\0',
  "' or 1=1--",
  "'; drop table users; --",
  "a'||pg_sleep(5)--@x.test",
  '$1',
  '%00',
  '%s%n',
  '{{7*7}}${7*7}<%=7*7%>',
  '<script>alert(1)</script>',
  'javascript:alert(1)',
  '../../../../etc/passwd',
  'a@x.test\r\nBcc: b@x.test',
  '\u001b[2J\u2028\u202e\ufeff\u200b',
  'ﬃ\u0130\u212a\u0000\ud83d\ude00',
  '\ud800',
  '\udc00\ud800',
  'ก็'.repeat(60),
  'a'.repeat(255),
  'x'.repeat(5_000),
  `${'a.'.repeat(1_000)}@${'b.'.repeat(1_000)}c`,
  '__proto__',
  'constructor',
  'toString',
  'null',
  'undefined',
  'NaN',
  '-1',
  '9'.repeat(400),
  '2147483648',
  '1e309',
  'eyJhbGciOiJub25lIn0.e30.',
];

const hostileText = fc.oneof(
  fc.constantFrom(...hostileTexts),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ maxLength: 300 }),
);
const hostileValue = fc.oneof(
  { weight: 3, arbitrary: hostileText },
  { weight: 2, arbitrary: fc.constantFrom(...Object.values(foreignValues)) },
  { weight: 2, arbitrary: fc.jsonValue() },
  { weight: 1, arbitrary: fc.double() },
  { weight: 1, arbitrary: fc.maxSafeInteger() },
);

/** What a header may hold at all: the client would refuse to send the rest. */
const headerText = fc
  .oneof(hostileText, fc.string({ maxLength: 200 }))
  .map((text) => text.replaceAll(/[^\t\u0020-\u007e\u0080-\u00ff]/g, '').trim());

/** Good values of fields and parameters, where their type alone does not make them good. */
const goodValues: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  email: fc.constantFrom('fuzz-<<unique>>@x.test', '<<email>>', '<<pendingEmail>>'),
  name: fc.constantFrom('Fuzz <<unique>>', 'Žofie 李 <<unique>>', "O'Neil <b> <<unique>>"),
  password: fc.constantFrom('a long password <<unique>>', 'пароль подлиннее 🙂🙂 <<unique>>'),
  current_password: fc.constant('<<password>>'),
  refresh_token: fc.constant('<<refreshToken>>'),
  cursor: fc.constant('<<cursor>>'),
  id: fc.constant('<<userId>>'),
  token: fc.constant('<<confirmationToken>>'),
  'LoginRequest email': fc.constant('<<email>>'),
  'LoginRequest password': fc.constant('<<password>>'),
  'ResetPasswordRequest token': fc.constant('<<resetToken>>'),
  'DeleteMeRequest current_password': fc.constant('<<sparePassword>>'),
  'delete /auth/sessions/{id} id': fc.constant('<<sessionId>>'),
};

/** These end what they are sent with: they are sent with something to spare. */
const endsItsSession = new Set(['post /auth/logout', 'delete /auth/me']);

/** Requests for every operation of the document: good ones, ones that are wrong in one place, and hostile ones. */
export function fuzzRequests(document: OpenApiDocument): fc.Arbitrary<Recipe> {
  return fc.oneof(...operationsOf(document).map((operation) => requestFor(document, operation)));
}

function requestFor(
  document: OpenApiDocument,
  { method, path, operation }: DocumentedOperation,
): fc.Arbitrary<Recipe> {
  const name = `${method} ${path}`;
  const parameters = (operation.parameters ?? []).map(
    (given) => deref(document, given) as unknown as Parameter,
  );
  const inPath = parameters.filter((parameter) => parameter.in === 'path');
  const inQuery = parameters.filter((parameter) => parameter.in === 'query');
  return fc
    .record({
      method: mostly(
        12,
        fc.constant(method),
        fc.constantFrom('get', 'head', 'put', 'patch', 'delete', 'post', 'options', 'trace'),
      ),
      path: fc
        .tuple(
          ...inPath.map((parameter) =>
            mostly(4, good(document, name, parameter), fc.constantFrom(...brokenIds)),
          ),
        )
        .map((values) =>
          inPath.reduce(
            (target, each, i) => target.replace(`{${each.name}}`, String(values[i])),
            path,
          ),
        ),
      query: queryFor(document, name, inQuery),
      token: tokenFor(name, operation.security === undefined),
      body: operation.requestBody
        ? bodyFor(document, operation.requestBody.content)
        : mostly(20, fc.constant(undefined), anyBody),
      extra: extraHeaders,
    })
    .map(({ query, token, body, extra, ...rest }) => ({
      operation: name,
      method: rest.method.toUpperCase(),
      target: query === '' ? rest.path : `${rest.path}?${query}`,
      headers: { ...token, ...body?.headers, ...extra },
      body: body?.content,
    }));
}

function queryFor(
  document: OpenApiDocument,
  name: string,
  parameters: readonly Parameter[],
): fc.Arbitrary<string> {
  const pairs = parameters.map((parameter) =>
    fc.option(
      mostly(3, good(document, name, parameter), hostileText).map((value) => [
        parameter.name,
        String(value),
      ]),
      { freq: 3 },
    ),
  );
  const asGiven = fc
    .tuple(...pairs)
    .map((given) =>
      given
        .filter((pair) => pair !== null)
        .map(([key = '', value = '']) => `${key}=${encode(value)}`),
    );
  const strange = fc.oneof(
    fc.tuple(hostileText, hostileText).map(([key, value]) => `${encode(key)}=${encode(value)}`),
    fc.constantFrom(
      'id=1',
      'id[]=1',
      'id[$gt]=0',
      '__proto__[x]=1',
      'limit=1&limit=2',
      '&&==',
      '%',
      '%E0%A4%A',
      '?',
    ),
  );
  return fc
    .tuple(asGiven, mostly(6, fc.constant([]), fc.array(strange, { maxLength: 3 })))
    .map(([given, odd]) => [...given, ...odd].join('&'));
}

const TOKENS = [
  '<<token>>',
  '<<otherToken>>',
  '<<spareToken>>',
  '<<refreshToken>>',
  '<<token>>x',
  'a.b.c',
  '',
];

function tokenFor(name: string, isNeeded: boolean): fc.Arbitrary<Record<string, string>> {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const right = fc.constant(bearer(endsItsSession.has(name) ? '<<spareToken>>' : '<<token>>'));
  const wrong = fc.oneof(
    fc.constant({}),
    fc.constantFrom(...TOKENS).map(bearer),
    headerText.map((authorization) => ({ authorization })),
  );
  return isNeeded ? mostly(5, right, wrong) : mostly(8, fc.constant({}), wrong);
}

interface Body {
  readonly headers: Readonly<Record<string, string>>;
  readonly content: string | Uint8Array;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const anyBody: fc.Arbitrary<Body> = fc.record({
  headers: mostly(
    3,
    fc.constant(JSON_TYPE),
    fc
      .oneof(
        fc.constantFrom(
          'text/plain',
          'application/json; charset=utf-7',
          'application/x-www-form-urlencoded',
          'multipart/form-data; boundary=x',
          '*/*',
          '',
        ),
        headerText,
      )
      .map((type) => ({ 'content-type': type })),
  ),
  content: fc.oneof(
    fc.constantFrom(...Object.values(brokenBodies)),
    fc.json(),
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.uint8Array({ maxLength: 100 }),
    fc.constantFrom('x'.repeat(5_000), 'x'.repeat(70_000), `{"email":"${'x'.repeat(20_000)}"}`),
  ),
});

function bodyFor(
  document: OpenApiDocument,
  content: Readonly<Record<string, { readonly schema: Schema }>>,
): fc.Arbitrary<Body> {
  const reference = content['application/json']?.schema.$ref ?? '';
  const schemaName = reference.split('/').at(-1) ?? '';
  const fine = objectOf(document, schemaName, deref(document, { $ref: reference }));
  const inOneField = fc
    .tuple(fine, fc.nat(), hostileValue, fc.option(hostileText, { freq: 3 }))
    .map(([object, position, value, unknownField]) => {
      const names = Object.keys(object);
      const field = unknownField ?? names[position % Math.max(names.length, 1)] ?? 'x';
      return JSON.stringify(Object.fromEntries([...Object.entries(object), [field, value]]));
    });
  const withoutOne = fc.tuple(fine, fc.nat()).map(([object, position]) => {
    const entries = Object.entries(object);
    return JSON.stringify(
      Object.fromEntries(entries.toSpliced(position % Math.max(entries.length, 1), 1)),
    );
  });
  const cut = fc.tuple(fine, fc.nat()).map(([object, position]) => {
    const text = JSON.stringify(object);
    return text.slice(0, position % text.length);
  });
  const json = (text: string): Body => ({ headers: JSON_TYPE, content: text });
  const form = fine.map((object): Body => ({
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    content: Object.entries(object)
      .map(([key, value]) => `${key}=${encode(String(value))}`)
      .join('&'),
  }));
  return fc.oneof(
    { weight: 8, arbitrary: fine.map((object) => json(JSON.stringify(object))) },
    { weight: 6, arbitrary: inOneField.map(json) },
    { weight: 1, arbitrary: withoutOne.map(json) },
    { weight: 1, arbitrary: cut.map(json) },
    { weight: 1, arbitrary: form },
    { weight: 2, arbitrary: anyBody },
  );
}

function objectOf(
  document: OpenApiDocument,
  schemaName: string,
  { properties = {}, required = [] }: Schema,
): fc.Arbitrary<Record<string, unknown>> {
  const fields = Object.entries(properties).map(
    ([name, schema]) => [name, good(document, schemaName, { name, schema })] as const,
  );
  return fc.record(Object.fromEntries(fields), { requiredKeys: [...required] });
}

/** A value that fits: by the field's name, if there is more to it than its type. */
function good(
  document: OpenApiDocument,
  owner: string,
  { name, schema: given }: Pick<Parameter, 'name' | 'schema'>,
): fc.Arbitrary<unknown> {
  const known = goodValues[`${owner} ${name}`] ?? goodValues[name];
  if (known) return known;
  const schema = deref(document, given);
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.anyOf)
    return fc.oneof(...schema.anyOf.map((one) => good(document, owner, { name, schema: one })));
  switch (schema.type) {
    case 'integer':
      return fc.integer({ min: schema.minimum ?? 0, max: schema.maximum ?? 1_000 });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      return fc.string({ maxLength: 40 });
  }
}

const extraHeaders: fc.Arbitrary<Record<string, string>> = mostly(
  2,
  fc.constant({}),
  fc.dictionary(
    fc.constantFrom(
      'accept',
      'accept-language',
      'cookie',
      'expect',
      'forwarded',
      'host',
      'idempotency-key',
      'if-none-match',
      'origin',
      'range',
      'referer',
      'content-encoding',
      'traceparent',
      'user-agent',
      'x-forwarded-for',
      'x-http-method-override',
      'x-request-id',
    ),
    fc.oneof(
      headerText,
      fc.constantFrom('text/html', 'gzip', 'bytes=0-', '*', 'DELETE', '127.0.0.1'),
    ),
    { maxKeys: 4 },
  ),
);

/** One of the first in so many of one of the second. */
function mostly<A, B>(
  weight: number,
  usual: fc.Arbitrary<A>,
  other: fc.Arbitrary<B>,
): fc.Arbitrary<A | B> {
  return fc.oneof<
    [{ weight: number; arbitrary: fc.Arbitrary<A> }, { weight: number; arbitrary: fc.Arbitrary<B> }]
  >({ weight, arbitrary: usual }, { weight: 1, arbitrary: other });
}

function deref(document: OpenApiDocument, schema: Schema): Schema {
  return schema.$ref === undefined ? schema : (resolvePointer(document, schema.$ref) as Schema);
}

/** As it goes into a query; what cannot be encoded, a lone surrogate, goes as U+FFFD. Placeholders stay. */
const encode = (text: string): string =>
  text.startsWith('<<') ? text : encodeURIComponent(text.toWellFormed());
