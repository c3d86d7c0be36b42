import { fileURLToPath } from 'node:url';
import swaggerJsdoc from 'swagger-jsdoc';
import { product } from '../../shared/config/version.js';
import { OPERATION_METHODS } from '../http/documented-paths.js';
import {
  problemResponses,
  requestIdHeader,
  sharedComponents,
  withPage,
  withRateLimit,
  type ResponseObject,
} from './components.js';
import { addRequestExample } from './request-examples.js';
import { componentSchemas } from './schemas.js';

/** The part of an OpenAPI 3.1 document that the build works on. */
export interface OpenApiDocument {
  openapi: string;
  paths: Paths;
  components: Record<string, Record<string, unknown>>;
  [field: string]: unknown;
}

type Paths = Record<string, Record<string, Operation>>;

interface Operation {
  operationId: string;
  tags: string[];
  summary: string;
  security?: unknown[];
  requestBody?: unknown;
  parameters?: unknown[];
  responses: Record<string, ResponseObject>;
}

const ORIGINAL_FORM_TAG = 'Users (original form)';
const TAGS = ['Registration', 'Sessions', 'Account', 'Users', ORIGINAL_FORM_TAG, 'Service'];
const DESCRIPTION = `An **admin** registers, confirms by a mailed link, logs in, and manages **users**.

1. \`POST /auth/register\` with a password of your own (the example's is refused), and follow the link in the mail.
2. \`POST /auth/login\`, copy \`access_token\`, press **Authorize** and paste it.
3. Create, read, change, list and delete users.

Every error is a problem document (RFC 9457) with a stable \`code\`. A path that is not listed here is answered 404
\`not_found\`, a method that is not 405 \`method_not_allowed\` with \`Allow\`; HEAD is answered as GET is. A body's
fields that are not listed are refused.`;

/** The document as it is served and committed. */
export const openApiText = async (): Promise<string> =>
  `${JSON.stringify(await buildOpenApi(), null, 2)}\n`;

/**
 * Builds the document: paths and prose from the comments beside the routes, schemas from zod, and the errors that any
 * operation of its kind can answer with.
 */
async function buildOpenApi(): Promise<OpenApiDocument> {
  const routes = fileURLToPath(new URL('../**/*.routes.js', import.meta.url));
  const document = swaggerJsdoc({
    failOnErrors: true,
    apis: [routes],
    definition: {
      openapi: '3.1.0',
      info: {
        title: 'Rollcall',
        version: product.version,
        description: DESCRIPTION,
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/' }],
      tags: TAGS.map((name) => ({ name })),
      security: [{ accessToken: [] }],
      components: {
        ...sharedComponents,
        schemas: await componentSchemas(),
      },
    },
  }) as OpenApiDocument;
  inlineSharedParameters(document.paths);
  addOriginalForm(document.paths);
  for (const [method, operation] of operationsOf(document.paths)) {
    addProblems(method, operation);
    addRequestExample(operation.requestBody, document.components['schemas'] ?? {});
  }
  dropUnusedResponses(document);
  return sortPaths(document);
}

/** Copies the parameters of a path into each of its operations. */
function inlineSharedParameters(paths: Paths): void {
  for (const item of Object.values(paths)) {
    const shared = item['parameters'] as unknown as unknown[] | undefined;
    delete item['parameters'];
    if (!shared) continue;
    for (const operation of Object.values(item))
      operation.parameters = [...shared, ...(operation.parameters ?? [])];
  }
}

const operationsOf = (paths: Paths): [method: string, operation: Operation][] =>
  Object.values(paths).flatMap((item) =>
    Object.entries(item).filter(([method]) => OPERATION_METHODS.includes(method)),
  );

/** Where the original application's operations of `/user` are described. */
const SOURCES = {
  post: '/users',
  get: '/users/{id}',
  put: '/users/{id}',
  delete: '/users/{id}',
} as const;

/**
 * The original application's form of the users' operations, `/user?id=`: the same operations under another id and tag, with
 * the user's id in the query instead of the path.
 */
function addOriginalForm(paths: Paths): void {
  const operations = Object.entries(SOURCES).map(([method, source]) => {
    const operation = paths[source]?.[method];
    if (!operation) throw new Error(`There is no ${method} ${source}`);
    return [method, originalForm(operation, `${method.toUpperCase()} ${source}`)] as const;
  });
  paths['/user'] = Object.fromEntries(operations);
}

function originalForm(operation: Operation, sameAs: string): Operation {
  const { operationId, tags: _tags, summary, parameters, ...rest } = structuredClone(operation);
  return {
    operationId: `${operationId}ByQuery`,
    tags: [ORIGINAL_FORM_TAG],
    summary,
    ...(parameters ? {} : { description: `The same as \`${sameAs}\`.` }),
    ...(parameters && { parameters: parameters.map(inQuery) }),
    ...rest,
  };
}

const inQuery = (parameter: unknown): unknown =>
  JSON.parse(JSON.stringify(parameter).replace('/IdInPath"', '/IdInQuery"'));

function addProblems(method: string, operation: Operation): void {
  const needsToken = operation.security === undefined;
  const hasBody = operation.requestBody !== undefined;
  const hasInput = hasBody || (operation.parameters?.length ?? 0) > 0;
  operation.responses = {
    ...problemResponses([
      'malformed_request',
      'request_timeout',
      'uri_too_long',
      'headers_too_large',
      'internal',
      'unavailable',
    ]),
    ...(needsToken && problemResponses(['unauthorized'])),
    ...(method !== 'get' && problemResponses(['precondition_failed'])),
    ...(hasBody && problemResponses(['payload_too_large', 'unsupported_media_type'])),
    ...(hasInput && problemResponses(['validation_failed'])),
    ...operation.responses,
  };
  if (takesForms(operation)) addPages(operation);
  addHeaders(operation);
}

const takesForms = ({ requestBody }: Operation): boolean =>
  JSON.stringify(requestBody ?? {}).includes('application/x-www-form-urlencoded');

/** A client that sends a form gets a page, errors included. */
function addPages(operation: Operation): void {
  for (const [status, response] of Object.entries(operation.responses)) {
    if (Number(status) >= 400) operation.responses[status] = withPage(resolved(response));
  }
}

function resolved({ $ref, ...response }: ResponseObject): ResponseObject {
  const name = $ref?.split('/').at(-1) ?? '';
  return { ...sharedComponents.responses[name], ...response };
}

/** The headers that the routes' comments leave out: shared responses have them already. */
function addHeaders({ responses }: Operation): void {
  const isLimited = '429' in responses;
  for (const [status, response] of Object.entries(responses)) {
    if (response.$ref !== undefined) continue;
    const whole = { ...response, headers: { ...requestIdHeader, ...response.headers } };
    responses[status] = isLimited && Number(status) < 400 ? withRateLimit(whole) : whole;
  }
}

/** Drops shared responses that are only used inline, with a page added. */
function dropUnusedResponses({ paths, components }: OpenApiDocument): void {
  const text = JSON.stringify(paths);
  components['responses'] = Object.fromEntries(
    Object.entries(components['responses'] ?? {}).filter(([name]) =>
      text.includes(`"#/components/responses/${name}"`),
    ),
  );
}

function sortPaths(document: OpenApiDocument): OpenApiDocument {
  const paths = Object.fromEntries(
    Object.entries(document.paths).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
  return { ...document, paths };
}
