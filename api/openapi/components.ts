import * as z from 'zod';
import { errorCodes, type ErrorCode } from '../../shared/errors/codes.js';
import { MAX_ID } from '../../shared/database/ids.js';
import { DEFAULT_LIMIT, MAX_CURSOR_LENGTH, MAX_LIMIT } from '../http/input/pagination.js';

/** Only the console and the worker answer with these, which the document does not describe. */
const ELSEWHERE = [
  'forbidden',
  'not_operator',
  'read_only',
  'cross_site',
  'untrusted_message',
] as const satisfies ErrorCode[];

type ApiCode = Exclude<ErrorCode, (typeof ELSEWHERE)[number]>;

const apiCodes = Object.keys(errorCodes).filter(
  (code): code is ApiCode => !ELSEWHERE.some((other) => other === code),
);

/** The body of every error: RFC 9457, with a stable code, the request id, and the invalid fields. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int().min(400).max(599),
    detail: z.string(),
    code: z.enum(apiCodes),
    instance: z.string(),
    request_id: z.string(),
    errors: z
      .array(z.object({ pointer: z.string().meta({ examples: ['#/email'] }), detail: z.string() }))
      .optional(),
  })
  .meta({ description: 'A problem document (RFC 9457).' });

const content = {
  'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
};

const header = (name: string) => ({ $ref: `#/components/headers/${name}` });

/** Every response has it. */
export const requestIdHeader = { 'X-Request-Id': header('RequestId') };

const rateLimitHeaders = {
  'RateLimit-Limit': header('RateLimit'),
  'RateLimit-Remaining': header('RateLimitRemaining'),
  'RateLimit-Reset': header('RateLimitReset'),
};

/** A response for each code, named after it; and those for a status that has several, or words of its own. */
const responses: Readonly<Record<string, ResponseObject>> = {
  ...Object.fromEntries(apiCodes.map((code) => [nameOf(code), problemResponse(code)])),
  InvalidCursor: problemResponse('invalid_cursor', 'malformed_request'),
  InvalidToken: withPage(problemResponse('invalid_token', 'malformed_request')),
  InvalidPassword: problemResponse('validation_failed', 'password_too_common'),
  Overloaded: problemResponse('overloaded', 'unavailable'),
  NameTakenAtConfirmation: {
    ...problemResponse('name_taken'),
    description: '`name_taken`: send another name with the same token.',
  },
  WrongPasswordAtConfirmation: {
    ...problemResponse('wrong_password'),
    description: '`wrong_password`: it matches no registration of the address.',
  },
};

/** The components that the routes' comments refer to, besides schemas. */
export const sharedComponents = {
  securitySchemes: {
    accessToken: {
      type: 'http',
      scheme: 'bearer',
      bearerFormat: 'JWT',
      description: 'The `access_token` of a login.',
    },
  },
  parameters: {
    Limit: {
      name: 'limit',
      in: 'query',
      description: 'The maximum number of results.',
      schema: { type: 'integer', minimum: 1, maximum: MAX_LIMIT, default: DEFAULT_LIMIT },
    },
    Cursor: {
      name: 'cursor',
      in: 'query',
      description: 'Where the page begins, from the `Link` of the previous page. Opaque.',
      schema: { type: 'string', minLength: 1, maxLength: MAX_CURSOR_LENGTH },
    },
    IdInPath: {
      name: 'id',
      in: 'path',
      required: true,
      schema: { type: 'integer', minimum: 1, maximum: MAX_ID },
    },
    IdInQuery: {
      name: 'id',
      in: 'query',
      required: true,
      schema: { type: 'integer', minimum: 1, maximum: MAX_ID },
    },
  },
  headers: {
    RequestId: {
      description:
        'Names the request in the logs: the header of the request if it is valid, else a new id.',
      schema: { type: 'string' },
    },
    NextPage: {
      description: '`<…>; rel="next"` with the absolute URL of the next page, when there is one.',
      schema: { type: 'string' },
    },
    Location: { description: 'The URL of the new user.', schema: { type: 'string' } },
    Challenge: { description: 'RFC 6750, section 3.', schema: { type: 'string' } },
    RetryAfter: { description: 'Seconds to wait.', schema: { type: 'integer' } },
    RateLimit: {
      description: 'Requests that are allowed in a period.',
      schema: { type: 'integer' },
    },
    RateLimitRemaining: {
      description: 'Requests left in this period.',
      schema: { type: 'integer' },
    },
    RateLimitReset: { description: 'Seconds until the next period.', schema: { type: 'integer' } },
  },
  responses,
};

/** A response of the document. */
export interface ResponseObject {
  readonly $ref?: string;
  readonly description?: string;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, unknown>>;
}

/** References to the responses for these codes, by status; one code per status. */
export function problemResponses(codes: readonly ApiCode[]): Record<string, ResponseObject> {
  return Object.fromEntries(
    codes.map((code) => [
      errorCodes[code].status,
      { $ref: `#/components/responses/${nameOf(code)}` },
    ]),
  );
}

/** The same response, which may also be a page. */
export function withPage({ content: types, ...response }: ResponseObject): ResponseObject {
  return { ...response, content: { ...types, 'text/html': { schema: { type: 'string' } } } };
}

/** The same response, and the headers with what a limit on requests leaves. */
export function withRateLimit(response: ResponseObject): ResponseObject {
  return { ...response, headers: { ...response.headers, ...rateLimitHeaders } };
}

/** `name_taken` → `NameTaken`. */
function nameOf(code: ApiCode): string {
  return code.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** The response for codes that have one status. */
function problemResponse(...codes: readonly [ApiCode, ...ApiCode[]]): ResponseObject {
  const { status } = errorCodes[codes[0]];
  return {
    description: codes.map((code) => `\`${code}\`: ${errorCodes[code].title}.`).join(' '),
    headers: { ...requestIdHeader, ...headersOf(status) },
    content,
  };
}

function headersOf(status: number): Readonly<Record<string, unknown>> | undefined {
  switch (status) {
    case 401:
      return { 'WWW-Authenticate': header('Challenge') };
    case 429:
      return { 'Retry-After': header('RetryAfter'), ...rateLimitHeaders };
    case 503:
      return { 'Retry-After': header('RetryAfter') };
    default:
      return undefined;
  }
}
