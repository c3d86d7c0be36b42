import * as z from 'zod';
import { MAX_ID } from '../../../shared/database/ids.js';
import { addressLength, readTypedAddress } from '../../../shared/identity/email-address.js';
import { mixesScripts, nameLength, readPersonName } from '../../../shared/identity/person-name.js';

const ID_RANGE = `must be a whole number, 1 to ${MAX_ID}`;

/** An id in a path or a query: only digits. */
const IdText = z
  .string()
  .regex(/^[1-9]\d{0,9}$/, ID_RANGE)
  .transform(Number)
  .refine((id) => id <= MAX_ID, ID_RANGE);

/** An id and nothing else: the parameters of a path, or a query in the original form. */
export const Id = z.strictObject({ id: IdText });

/** The query of a route without parameters: an invented one, such as `?dry_run=true`, must not be ignored. */
export const NoQuery = z.strictObject({});

/** An e-mail address, surrounding whitespace trimmed. */
export const EmailInput = z
  .string()
  .meta({
    description:
      'An e-mail address, of ASCII characters before the `@`; compared without regard to case. Surrounding blanks are ignored. Its domain is stored in lower case, an international one as `xn--…`.',
    examples: ['ann@example.com'],
    minLength: addressLength.min,
    maxLength: addressLength.max,
  })
  .transform((text, issues) => {
    const address = readTypedAddress(text);
    if (address) return address;
    issues.addIssue({
      code: 'custom',
      message: 'must be an e-mail address such as ann@example.com',
    });
    return z.NEVER;
  });

/** The name of a person, normalised as it is stored. */
export const PersonNameInput = z
  .string()
  .meta({
    description:
      'At most 100 characters, as composed (NFC): letters, marks, digits, punctuation, symbols and spaces of any script.',
    examples: ['Ann Example'],
    minLength: nameLength.min,
    maxLength: nameLength.max,
  })
  .transform((text, issues) => {
    const reading = readPersonName(text);
    if ('name' in reading) return reading.name;
    issues.addIssue({ code: 'custom', message: reading.fault });
    return z.NEVER;
  });

/** The name of an admin, which must not be confusable with another: see ADR 20. */
export const AdminNameInput = PersonNameInput.refine(
  (name) => !mixesScripts(name),
  'must not mix scripts that look alike within a word',
);
