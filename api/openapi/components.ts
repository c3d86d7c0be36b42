import * as z from 'zod';
import { errorCodes, type ErrorCode } from '../../shared/errors/codes.js';
import { MAX_ID } from '../../shared/database/ids.js';
import { DEFAULT_LIMIT, MAX_CURSOR_LENGTH, MAX_LIMIT } from '../http/input/pagination.js';

/** The body of every error: RFC 9457, with a stable code, the request id, and the invalid fields. */
export const Problem = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
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
    NextPage: {
      description: '`<…>; rel="next"` with the absolute URL of the next page, when there is one.',
      schema: { type: 'string' },
    },
    Location: { description: 'The URL of the new user.', schema: { type: 'string' } },
    RetryAfter: { description: 'Seconds to wait.', schema: { type: 'integer' } },
  },
  responses: {
    NameTaken: problemResponse('name_taken'),
    NameTakenAtConfirmation: {
      ...problemResponse('name_taken'),
      description: '`name_taken`: send another name with the same token.',
    },
    EmailTaken: problemResponse('email_taken'),
    InvalidCredentials: problemResponse('invalid_credentials'),
    InvalidRefreshToken: problemResponse('invalid_refresh_token'),
    EmailNotConfirmed: problemResponse('email_not_confirmed'),
    WrongPassword: problemResponse('wrong_password'),
    WrongPasswordAtConfirmation: {
      ...problemResponse('wrong_password'),
      description: '`wrong_password`: it matches no registration of the address.',
    },
    ValidationFailed: problemResponse('validation_failed'),
    InvalidCursor: problemResponse('invalid_cursor'),
    FormRefused: {
      ...problemResponse('password_too_common'),
      description: '`validation_failed` or, for a password, `password_too_common`.',
    },
    TooManyAttempts: {
      ...problemResponse('too_many_attempts'),
      headers: {
        'Retry-After': { $ref: '#/components/headers/RetryAfter' },
        'RateLimit-Limit': { schema: { type: 'integer' } },
        'RateLimit-Remaining': { schema: { type: 'integer' } },
        'RateLimit-Reset': { description: 'Seconds.', schema: { type: 'integer' } },
      },
    },
    NotFound: problemResponse('not_found'),
    InvalidToken: {
      description: '`invalid_token`: the link is wrong, void or expired.',
      content: {
        ...problemResponse('invalid_token').content,
        'text/html': { schema: { type: 'string' } },
      },
    },
  },
};

/** The responses for these codes, by status; one code per status. */
export function problemResponses(codes: readonly ErrorCode[]): Record<string, unknown> {
  return Object.fromEntries(codes.map((code) => [errorCodes[code].status, problemResponse(code)]));
}

/** The response for a code. */
function problemResponse(code: ErrorCode) {
  const { status, title } = errorCodes[code];
  const headers =
    status === 401
      ? { 'WWW-Authenticate': { description: 'RFC 6750.', schema: { type: 'string' } } }
      : status === 503
        ? { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } }
        : undefined;
  return { description: `\`${code}\`: ${title}.`, ...(headers && { headers }), content };
}
