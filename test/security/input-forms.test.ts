import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { operationsOf, readDocument } from '../helpers/openapi.js';
import { fingerprint } from '../helpers/schema.js';

const context = useContext();
const api = useApi(context);

let admin: TestAdmin;
/** The admin’s own, so that whatever is read as this id finds a row. */
let ids: Readonly<Record<string, number>>;
test.serial.before('make a user and a session', async () => {
  admin = await api.admins.confirmedAdmin();
  const { body: user } = await admin.client.post<{ id: number }>('/users', { email: 'a@x.test' });
  const { body: sessions } = await admin.client.get<{ id: number }[]>('/auth/sessions');
  const session = sessions[0]?.id ?? 0;
  ids = { '/users/{id}': user.id, '/user': user.id, '/auth/sessions/{id}': session };
});

/** Spellings of an id that are not the id, though one reader or another would take them for it. */
const spellingsOf = (id: number): string[] => [
  `${id}.0`,
  `${id}e0`,
  `0${id}`,
  `+${id}`,
  `-${id}`,
  `0x${id.toString(16)}`,
  `${id}n`,
  `${id}_0`,
  `${id},${id}`,
  `${id};`,
  `${id}'`,
  `[${id}]`,
  `{"$gt":0}`,
  ` ${id}`,
  `${id} `,
  `${id}\n`,
  `\t${id}`,
  `\0${id}`,
  `${id}\0`,
  `\u200b${id}`,
  `${id}\u202e`,
  fullWidth(id),
  arabic(id),
  '0',
  '-1',
  '-0',
  '1e3',
  '2147483648',
  '4294967297',
  '9223372036854775808',
  `1${'0'.repeat(400)}`,
  'NaN',
  'Infinity',
  'true',
  'null',
  'undefined',
  'id',
  '*',
];

for (const { method, path, operation } of operationsOf(readDocument())) {
  const isInQuery = (operation.parameters ?? []).some(({ $ref }) => $ref?.endsWith('IdInQuery'));
  if (!path.includes('{id}') && !isInQuery) continue;
  test.serial(`S47 ${method} ${path} knows one spelling of an id`, async (t) => {
    const id = ids[path];
    if (id === undefined) throw new Error(`say which id ${path} means`);
    const json = operation.requestBody ? { json: { name: 'Changed' } } : {};
    const before = await fingerprint(context);
    const targets = spellingsOf(id).map((spelling) => {
      const written = encodeURIComponent(spelling);
      return isInQuery ? `${path}?id=${written}` : path.replace('{id}', written);
    });
    const queries = [
      '',
      'id=',
      'id',
      `id=${id}&id=${id}`,
      `id=${id}&id=`,
      `id[]=${id}`,
      `id[0]=${id}`,
      'id[$gt]=0',
      'id[gt]=0',
      `ID=${id}`,
      `id=${id}&admin_id=1`,
      `id=${id}&__proto__=1`,
    ];
    if (isInQuery) targets.push(...queries.map((query) => `${path}?${query}`));
    for (const target of targets) {
      const { status, body } = await admin.client.request<{ code: string }>(
        method.toUpperCase(),
        target,
        json,
      );
      t.deepEqual([status, body.code], [422, 'validation_failed'], target);
    }
    for (const broken of ['%', '%E0%A4%A', '%zz', '%C0%B1']) {
      const target = isInQuery ? `${path}?id=${broken}` : path.replace('{id}', broken);
      const { status } = await admin.client.request(method.toUpperCase(), target, json);
      t.true(status === 400 || status === 422, `${target}: ${status}`);
    }
    t.is(await fingerprint(context), before);
  });
}

const fullWidth = (id: number): string => shifted(id, 0xff10);
const arabic = (id: number): string => shifted(id, 0x0660);

/** The number in other digits, from this zero on. */
function shifted(id: number, zero: number): string {
  return [...String(id)].map((digit) => String.fromCodePoint(zero + Number(digit))).join('');
}
