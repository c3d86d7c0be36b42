import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import formatsPlugin from 'ajv-formats';
import { projectRoot } from '../../dev/paths.js';

/** One answer of the API, with what was asked. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: Headers;
  /** Parsed if it is JSON, else text; empty is ''. */
  readonly body: unknown;
}

/** Holds answers against the committed OpenAPI document. */
export interface Contract {
  /** @throws {Error} that says what the document does not allow. */
  check(exchange: Exchange): void;
}

interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}
interface Operation {
  readonly responses: Readonly<Record<string, ResponseObject>>;
}
interface ResponseObject {
  readonly $ref?: string;
  readonly description?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, unknown>>;
}

/** Where the committed document is. */
export const OPENAPI_FILE = join(projectRoot, 'api/openapi/openapi.json');

/** Headers that go with a status, whatever the route. */
const REQUIRED_HEADERS: Readonly<Record<number, readonly string[]>> = {
  405: ['allow'],
  429: ['retry-after'],
  503: ['retry-after'],
};

/** What is refused before anybody looks where it was to go. */
const BEFORE_ROUTING: ReadonlySet<number> = new Set([400, 414, 431]);
/** Where people come by a mailed link, or send a form. */
const PAGES = /^\/auth\/(?:confirm(?:\/resend)?|password\/(?:reset|forgot))(?:\?|$)/;

/** Reads the committed document. */
export function loadContract(): Contract {
  const document = JSON.parse(readFileSync(OPENAPI_FILE, 'utf8')) as OpenApiDocument;
  // Whether the document is a good one has a test of its own (`test/contract/openapi.test.ts`).
  // Optimizing a schema takes longer than it saves in the few answers that are held against it.
  const ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    validateSchema: false,
    code: { optimize: false },
  });
  formatsPlugin.default(ajv);
  ajv.addSchema(document, 'openapi');

  const fits = (pointer: string, body: unknown): string | undefined => {
    const validate = ajv.getSchema(`openapi#${pointer}`);
    if (!validate) return `the document has no schema at ${pointer}`;
    return validate(body) ? undefined : explain(validate.errors ?? []);
  };

  return {
    check(exchange) {
      const fault =
        faultOfHeaders(exchange) ?? secretIn(exchange) ?? faultOfBody(document, fits, exchange);
      if (fault === undefined) return;
      const { method, path, status, body } = exchange;
      const shown = typeof body === 'string' ? body : JSON.stringify(body);
      throw new Error(
        `${method} ${path} answered ${status}, against its contract: ${fault}\n${shown.slice(0, 1_000)}`,
      );
    },
  };
}

function faultOfHeaders({ method, path, status, headers, body }: Exchange): string | undefined {
  for (const name of ['x-request-id', ...(REQUIRED_HEADERS[status] ?? [])]) {
    if (!headers.has(name)) return `the header ${name} is missing`;
  }
  // Readiness is a report whichever way it turns out.
  if (status < 400 || /^\/health\/ready(?:\?|$)/.test(path)) return undefined;
  // A person who follows a link, or sends a form, gets a page; where it may be one is for the document to say.
  if (PAGES.test(path) && mediaType(headers) === 'text/html') return undefined;
  if (mediaType(headers) !== 'application/problem+json')
    return `an error of type ${mediaType(headers)}`;
  if (method === 'HEAD') return undefined;
  const problem = body as Record<string, unknown>;
  if (problem['status'] !== status) return 'the problem names another status';
  if (problem['request_id'] !== headers.get('x-request-id'))
    return 'the problem names another request id';
  return undefined;
}

/** What never leaves the service, whatever the document says. */
function secretIn({ path, body }: Exchange): string | undefined {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  if (/\$2[aby]\$\d\d\$/.test(text)) return 'it holds a password hash';
  // The document itself describes the fields of requests.
  if (typeof body === 'string' || /^\/openapi\.json(?:\?|$)/.test(path)) return undefined;
  const fields = [...text.matchAll(/"(\w+)":/g)].map(([, field = '']) => field);
  const secret = fields.find((field) => /hash|pepper|secret|nonce|password/i.test(field));
  return secret === undefined ? undefined : `it holds the field ${secret}`;
}

function faultOfBody(
  document: OpenApiDocument,
  fits: (pointer: string, body: unknown) => string | undefined,
  { method, path, status, headers, body }: Exchange,
): string | undefined {
  const template = findTemplate(Object.keys(document.paths), path);
  const isBeforeRouting = BEFORE_ROUTING.has(status);
  if (template === undefined)
    return status === 404 || isBeforeRouting ? undefined : 'the path is not documented';
  const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
  const operation = document.paths[template]?.[verb];
  if (!operation)
    return status === 405 || isBeforeRouting ? undefined : 'the method is not documented';

  const given = operation.responses[String(status)];
  if (!given) return 'the status is not documented';
  const [response, pointer] = resolve(
    document,
    given,
    pointerTo('paths', template, verb, 'responses', String(status)),
  );
  const type = mediaType(headers);
  const schema = `${pointer}${pointerTo('content', type, 'schema')}`;
  return (
    faultOfDocumentedHeaders(response, status, headers) ??
    faultOfCode(response, body) ??
    faultOfContent(response, (json) => fits(schema, json), { method, type, body })
  );
}

function faultOfContent(
  { content }: ResponseObject,
  fits: (body: unknown) => string | undefined,
  { method, type, body }: { method: string; type: string; body: unknown },
): string | undefined {
  if (!content) return body === '' ? undefined : 'the document promises an empty body';
  if (!(type in content)) return `the content type ${type} is not documented`;
  if (method === 'HEAD') return undefined;
  if (!/^application\/(.+\+)?json$/.test(type)) return undefined;
  return fits(body);
}

/** Headers that a client may need; the document names each where it is sent. */
const CLIENT_HEADERS = [
  'X-Request-Id',
  'Location',
  'Link',
  'Retry-After',
  'WWW-Authenticate',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
];

function faultOfDocumentedHeaders(
  { headers: documented = {} }: ResponseObject,
  status: number,
  headers: Headers,
): string | undefined {
  for (const name of CLIENT_HEADERS) {
    const isDocumented = name in documented;
    if (isDocumented && name !== 'Link' && !headers.has(name))
      return `the documented header ${name} is missing`;
    // An error may come before the limit, or after it.
    const isOptional = name.startsWith('RateLimit-') && status >= 400;
    if (headers.has(name) && !isDocumented && !isOptional)
      return `the header ${name} is not documented`;
  }
  return undefined;
}

function faultOfCode({ description = '' }: ResponseObject, body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('code' in body)) return undefined;
  const code = String(body.code);
  return description.includes(`\`${code}\``)
    ? undefined
    : `the code ${code} is not documented for this status`;
}

/** The documented path that this one is an instance of; literal segments win over parameters. */
function findTemplate(templates: readonly string[], path: string): string | undefined {
  const segments = (path.split('?')[0] ?? '').split('/');
  const matching = templates.filter((template) => {
    const parts = template.split('/');
    return (
      parts.length === segments.length &&
      parts.every((part, i) => /^\{.+\}$/.test(part) || part === segments[i])
    );
  });
  return matching.toSorted((a, b) => a.split('{').length - b.split('{').length)[0];
}

function resolve(
  document: OpenApiDocument,
  given: ResponseObject,
  pointer: string,
): [ResponseObject, string] {
  if (given.$ref === undefined) return [given, pointer];
  const target = given.$ref.replace(/^#/, '');
  const keys = target.split('/').slice(1).map(unescape);
  const found = keys.reduce<unknown>(
    (node, key) => (node as Record<string, unknown>)[key],
    document,
  );
  return [found as ResponseObject, target];
}

const pointerTo = (...keys: string[]): string =>
  keys
    .map((key) => `/${encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))}`)
    .join('');
const unescape = (key: string): string =>
  decodeURIComponent(key).replaceAll('~1', '/').replaceAll('~0', '~');
const mediaType = (headers: Headers): string =>
  (headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '';
const explain = (errors: readonly ErrorObject[]): string =>
  errors.map(({ instancePath, message }) => `${instancePath || 'the body'} ${message}`).join('; ');
