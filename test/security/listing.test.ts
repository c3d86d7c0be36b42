import test from 'ava';
import { createCursors } from '../../api/http/input/pagination.js';
import { deriveKeyRing } from '../../shared/crypto/keys.js';
import type { TestAdmin } from '../helpers/admins.js';
import type { Answer } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { PUBLIC_URL, SECRET_KEY } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import type { Problem } from '../helpers/problem.js';
import { exchange } from '../helpers/raw-http.js';

const context = useContext();
const api = useApi(context, { env: { OPERATOR_EMAILS: `operator@${context.mailDomain}` } });

const USERS = 10_000;
const OTHERS = 200;
const DEEP_PAGES = 20;
const LIMIT = 100;
/** Of base64url. The last letter of a seal stands for two bits: 16 of these decode to the same bytes. */
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'.split('');

let admin: TestAdmin;
let other: TestAdmin;
let operator: TestAdmin;
test.serial.before('make an admin with many users, and others', async () => {
  admin = await api.admins.confirmedAdmin();
  other = await api.admins.confirmedAdmin();
  operator = await api.admins.confirmedAdmin({ email: `operator@${context.mailDomain}` });
  const many = `insert into users (admin_id, email, email_canonical)
    select $1, 'u' || n || '@x.test', 'u' || n || '@x.test' from generate_series(1, $2::int) n`;
  await context.rows(many, [admin.id, USERS]);
  await context.rows(many, [other.id, OTHERS]);
  await context.rows('analyze users');
});

for (const [path, client] of [
  ['/users', () => admin.client],
  ['/auth/admins', () => operator.client],
] as const) {
  test.serial(`S49 ${path}: a page is bounded, whatever is asked for`, async (t) => {
    for (const limit of [
      '0',
      '-1',
      '101',
      '1e9',
      '1000000000',
      'abc',
      '',
      '1.5',
      '0x10',
      ' 1',
      '٣',
    ]) {
      const { status, body } = await client().get<Problem>(
        `${path}?limit=${encodeURIComponent(limit)}`,
      );
      t.deepEqual([status, body.code], [422, 'validation_failed'], limit);
    }
    for (const query of [
      'limit=1&limit=2',
      'limit[]=5',
      'offset=0',
      'page=2',
      'limit=5&sort=id;',
    ]) {
      t.is((await client().get(`${path}?${query}`)).status, 422, query);
    }
  });

  test.serial(`S49 ${path}: a cursor that was changed, or made up, is refused`, async (t) => {
    const cursor = cursorOf(await client().get(`${path}?limit=1`));
    const [place = '', seal = ''] = cursor.split('.');
    for (const changed of [
      `${Number.parseInt(place, 36) + 1}.${seal}`,
      `0.${seal}`,
      ...LETTERS.map((letter) => `${place}.${seal.slice(0, -1)}${letter}`),
      `0${place}.${seal}`,
      `${place}.${seal.toLowerCase()}x`.slice(0, cursor.length),
      `${place}.${'A'.repeat(22)}`,
      `${place}.`,
      `.${seal}`,
      place,
      seal,
      `${cursor}A`,
      ` ${cursor}`,
      `${cursor}\n`,
      '1',
      '-1',
      "' or 1=1 --",
      '{"id":1}',
      'eyJpZCI6MX0',
    ]) {
      if (changed === cursor) continue;
      const { status, body } = await client().get<Problem>(
        `${path}?cursor=${encodeURIComponent(changed)}`,
      );
      t.deepEqual([status, body.code], [400, 'invalid_cursor'], changed);
    }
    t.is((await client().get(`${path}?limit=1&cursor=${cursor}`)).status, 200);
  });
}

test.serial(
  'S09 the link to the next page leads to PUBLIC_URL, whatever the request says',
  async (t) => {
    const forged = [
      'Host: evil.test',
      'Host: evil.test\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: javascript',
      'Host: evil.test\r\nForwarded: host=evil.test;proto=http\r\nX-Forwarded-Prefix: /evil.test',
      'Host: evil.test:1',
    ];
    const targets = [
      ['/users?limit=1', admin],
      ['http://evil.test/users?limit=1', admin],
      ['/auth/admins?limit=1', operator],
    ] as const;
    for (const [target, { login }] of targets) {
      for (const host of forged) {
        const { status, headers } = await exchange(
          api.server.url,
          `GET ${target} HTTP/1.1\r\n${host}\r\nAuthorization: Bearer ${login.access_token}\r\nConnection: close\r\n\r\n`,
        );
        t.is(status, 200, target);
        const link = headers.get('link') ?? '';
        const path = target.replace('http://evil.test', '');
        t.true(link.startsWith(`<${PUBLIC_URL}${path}&cursor=`), link);
      }
    }
  },
);

test.serial('S49 without a limit a page holds fifty, and never more than a hundred', async (t) => {
  t.is((await admin.client.get<unknown[]>('/users')).body.length, 50);
  t.is((await admin.client.get<unknown[]>('/users?limit=100')).body.length, 100);
});

test.serial(
  'S49 a page reads the rows that it shows and no others, however deep it is',
  async (t) => {
    const cursors = createCursors(
      deriveKeyRing({ current: SECRET_KEY, previous: [] }, 'cursor'),
      PUBLIC_URL,
    );
    const [newest] = await context.rows<{ id: number }>(
      'select last_value::int as id from users_id_seq',
    );
    const after = (newest?.id ?? 0) - OTHERS - (DEEP_PAGES + 1) * LIMIT;
    let cursor = cursors.encode(`users:${admin.id}`, after);
    const before = await rowsRead();
    for (let page = 0; page < DEEP_PAGES; page++) {
      const answer = await admin.client.get<unknown[]>(`/users?limit=${LIMIT}&cursor=${cursor}`);
      t.is(answer.body.length, LIMIT);
      cursor = cursorOf(answer);
    }
    const shown = DEEP_PAGES * LIMIT;
    const read = await eventually(async () => {
      // A server process tells what it has counted when it next has something to do.
      await admin.client.get('/auth/me');
      const sinceThen = (await rowsRead()) - before;
      return sinceThen >= shown && sinceThen;
    });
    t.true(read < 2 * shown, `${read} rows read for ${shown} shown`);
  },
);

function cursorOf({ headers, text }: Answer): string {
  const [, cursor] = /[?&]cursor=([^&>]+)/.exec(headers.get('link') ?? '') ?? [];
  if (cursor === undefined) throw new Error(`no next page: ${text}`);
  return cursor;
}

/** Rows of the users’ table that any statement has looked at so far, as far as the server has counted yet. */
async function rowsRead(): Promise<number> {
  const [row] = await context.rows<{ n: string }>(
    `select seq_tup_read + idx_tup_fetch as n from pg_stat_user_tables where relname = 'users'`,
  );
  return Number(row?.n);
}
