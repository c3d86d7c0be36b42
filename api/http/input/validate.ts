import type * as z from 'zod';
import { AppError, type FieldFault } from '../../../shared/errors/app-error.js';

/**
 * Parses untrusted input.
 * @throws {AppError} `validation_failed` with every field at fault.
 */
export function parse<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value, { error: wording });
  if (result.success) return result.data;
  throw new AppError('validation_failed', { fields: result.error.issues.flatMap(faultsOf) });
}

/** The words for issues whose schema has none of its own; they follow the name of the field, as all others do. */
const wording: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is required';
      return Array.isArray(issue.input)
        ? `must be ${named(issue.expected)}, not a list`
        : `must be ${named(issue.expected)}`;
    case 'invalid_value':
      return `must be ${issue.values.map((value) => `\`${String(value)}\``).join(' or ')}`;
    default:
      return undefined;
  }
};

const named = (type: string): string => (type === 'boolean' ? 'true or false' : `a ${type}`);

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
