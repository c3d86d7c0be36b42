import type * as z from 'zod';
import { AppError, type FieldFault } from '../../../shared/errors/app-error.js';

/**
 * Parses untrusted input.
 * @throws {AppError} `validation_failed` with every field at fault.
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new AppError('validation_failed', { fields: result.error.issues.flatMap(faultsOf) });
}

function faultsOf(issue: z.core.$ZodIssue): FieldFault[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      pointer: pointer([...issue.path, key]),
      detail: 'is not a known field',
    }));
  }
  return [{ pointer: pointer(issue.path), detail: issue.message }];
}

/**
 * A JSON pointer in its URI fragment form (RFC 6901, section 6), as RFC 9457 shows it. What is no Unicode has no such form:
 * it becomes U+FFFD.
 */
function pointer(path: readonly PropertyKey[]): string {
  const parts = path.map((key) => String(key).replaceAll('~', '~0').replaceAll('/', '~1'));
  return `#${encodeURI(['', ...parts].join('/').toWellFormed()).replaceAll('#', '%23')}`;
}
