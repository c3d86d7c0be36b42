import * as z from 'zod';
import { errorCodes, type ErrorCode } from '../../shared/errors/codes.js';

/** Every error answer: RFC 9457, with a stable code, the request's id, and the fields at fault. */
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

/** The answers by status that these codes make; codes of one status share an answer. */
export function problemResponses(codes: readonly ErrorCode[]): Record<string, unknown> {
  return Object.fromEntries(codes.map((code) => [errorCodes[code].status, problemResponse(code)]));
}

/** One answer for one code. */
export function problemResponse(code: ErrorCode) {
  const { status, title } = errorCodes[code];
  const headers =
    status === 401
      ? { 'WWW-Authenticate': { description: 'RFC 6750.', schema: { type: 'string' } } }
      : status === 503
        ? { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } }
        : undefined;
  return { description: `\`${code}\`: ${title}.`, ...(headers && { headers }), content };
}
