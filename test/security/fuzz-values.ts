import fc from 'fast-check';
import { resolvePointer, type OpenApiDocument } from '../helpers/openapi.js';
import { foreignValues } from '../helpers/samples.js';

/** A JSON schema, as far as values are made from it. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
}
/** A field or a parameter. */
export interface Field {
  readonly name: string;
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

export const hostileText = fc.oneof(
  fc.constantFrom(...hostileTexts),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ maxLength: 300 }),
);
export const hostileValue = fc.oneof(
  { weight: 3, arbitrary: hostileText },
  { weight: 2, arbitrary: fc.constantFrom(...Object.values(foreignValues)) },
  { weight: 2, arbitrary: fc.jsonValue() },
  { weight: 1, arbitrary: fc.double() },
  { weight: 1, arbitrary: fc.maxSafeInteger() },
);

/** What a header may hold at all: the client would refuse to send the rest. */
export const headerText = fc
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
  'ConfirmRequest password': fc.constant('<<pendingPassword>>'),
  'LoginRequest email': fc.constant('<<email>>'),
  'LoginRequest password': fc.constant('<<password>>'),
  'ResetPasswordRequest token': fc.constant('<<resetToken>>'),
  'get /auth/password/reset token': fc.constant('<<resetToken>>'),
  'DeleteMeRequest current_password': fc.constant('<<sparePassword>>'),
  'delete /auth/sessions/{id} id': fc.constant('<<sessionId>>'),
};

/** A value that fits: by the field's name, if there is more to it than its type. */
export function good(
  document: OpenApiDocument,
  owner: string,
  { name, schema: given }: Field,
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

/** One of the first in so many of one of the second. */
export function mostly<A, B>(
  weight: number,
  usual: fc.Arbitrary<A>,
  other: fc.Arbitrary<B>,
): fc.Arbitrary<A | B> {
  return fc.oneof<
    [{ weight: number; arbitrary: fc.Arbitrary<A> }, { weight: number; arbitrary: fc.Arbitrary<B> }]
  >({ weight, arbitrary: usual }, { weight: 1, arbitrary: other });
}

export function deref(document: OpenApiDocument, schema: Schema): Schema {
  return schema.$ref === undefined ? schema : (resolvePointer(document, schema.$ref) as Schema);
}

/** As it goes into a query; what cannot be encoded, a lone surrogate, goes as U+FFFD. Placeholders stay. */
export const encode = (text: string): string =>
  text.startsWith('<<') ? text : encodeURIComponent(text.toWellFormed());
