import type * as z from 'zod';
import type { User } from '../../api/users/users.schemas.js';

/** A user as the API answers with it. */
export type UserAnswer = z.output<typeof User>;

/** The answer that shows this user: what is not given has its default, and the times are left empty. */
export const userAnswer = (
  given: Pick<UserAnswer, 'id' | 'email'> & Partial<UserAnswer>,
): UserAnswer => ({ name: null, active: true, created_at: '', updated_at: '', ...given });

/** A body that fits each request of the document, by the name of its schema. None of them changes anything by itself. */
export const sampleBodies: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  RegisterRequest: {
    email: 'sample@x.test',
    name: 'Sample',
    password: 'a password that is long enough',
  },
  ResendRequest: { email: 'sample@x.test' },
  ConfirmRequest: {
    token: 'not a token',
    password: 'a password that is long enough',
    name: 'Sample',
  },
  LoginRequest: { email: 'sample@x.test', password: 'a password that is long enough' },
  RefreshRequest: { refresh_token: 'not a token' },
  ForgotPasswordRequest: { email: 'sample@x.test' },
  ResetPasswordRequest: {
    token: 'not a token',
    password: 'a password that is long enough',
    name: 'Sample',
  },
  UpdateMeRequest: { name: 'Sample' },
  DeleteMeRequest: { current_password: 'not the password' },
  CreateUserRequest: { email: 'sample@x.test', name: 'Sample', active: true },
  UpdateUserRequest: { email: 'sample@x.test', name: 'Sample', active: true },
};

/** What stands in a field where something else belongs: other types, and texts that no field takes. */
export const foreignValues: Readonly<Record<string, unknown>> = {
  'a number': 17,
  true: true,
  null: null,
  'an empty list': [],
  'a list of texts': ['a@x.test', 'b@x.test'],
  'an object': {},
  'an operator': { $ne: null },
  'an empty text': '',
  'a text of spaces': '   ',
  'a text of 3,000 characters': 'x'.repeat(3_000),
  'a NUL': 'a\u0000b@x.test',
  'a lone surrogate': 'a\ud800@x.test',
  'a line break': 'a@x.test\r\nBcc: b@x.test',
};

/** Bodies that are no JSON object. */
export const brokenBodies: Readonly<Record<string, string | Uint8Array>> = {
  'half an object': '{"email":',
  'a trailing comma': '{"email":"a@x.test",}',
  'two objects': '{}{}',
  null: 'null',
  'a list': '[]',
  'a text': '"email"',
  'a number': '17',
  'a bare word': 'email',
  NaN: '{"email":NaN}',
  'single quotes': "{'email':'a@x.test'}",
  'bytes that are not UTF-8': new Uint8Array([
    0x7b, 0x22, 0x65, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d,
  ]),
  'nesting without end': '{"a":'.repeat(500) + '1' + '}'.repeat(500),
};

/** Ids that no row can have, as they stand in a path or a query. */
export const brokenIds: readonly string[] = [
  '0',
  '-1',
  '1.5',
  '1e3',
  '0x1',
  '01',
  '+1',
  'abc',
  '2147483648',
  '9'.repeat(30),
  '%20',
  '%00',
  '1%00',
  "1'%20or%20'1'='1",
  '1;drop%20table%20users',
  '%E2%80%AE1',
  'null',
  'undefined',
  '__proto__',
  'constructor',
  'x'.repeat(1_500),
];
