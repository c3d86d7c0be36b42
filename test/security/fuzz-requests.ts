import fc from 'fast-check';
import {
  operationsOf,
  type DocumentedOperation,
  type OpenApiDocument,
} from '../helpers/openapi.js';
import { brokenIds } from '../helpers/samples.js';
import { anyBody, bodyFor } from './fuzz-bodies.js';
import { deref, encode, good, headerText, hostileText, mostly, type Field } from './fuzz-values.js';

/** A request to be: `<<name>>` in any text of it stands for what the run knows under that name. */
export interface Recipe {
  /** The operation that it is aimed at, as `post /users`. */
  readonly operation: string;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

interface Parameter extends Field {
  readonly in: string;
}

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
