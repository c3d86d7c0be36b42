import test from 'ava';
import type { TestAdmin } from '../helpers/admins.js';
import type { Answer } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';

const context = useSharedContext('api');
const api = useApi(context);

let admin: TestAdmin;
let ids: number[];
test.serial.before('an admin with users', async () => {
  admin = await api.admins.confirmedAdmin();
  ids = [];
  for (const name of ['Ann "A" Example', 'Zoë \\ Ünïcode 字', undefined]) {
    const { body } = await admin.client.post<{ id: number }>('/users', {
      email: context.uniqueAddress(),
      ...(name !== undefined && { name }),
    });
    ids.push(body.id);
  }
});

/** Each request as the front answers it, and in a spelling that only Express answers. */
const spellings = (): [path: string, unusual: string][] => [
  ...ids.map((id): [string, string] => [`/users/${id}`, `/users/${id}/`]),
  [`/users/${ids[0]}`, `/USERS/${ids[0]}`],
  [`/users/2000000000`, `/users/2000000000/`],
  [`/users/9999999999`, `/users/9999999999/`],
  [`/user?id=${ids[1]}`, `/user?%69d=${ids[1]}`],
  ['/user?id=x', '/user?%69d=x'],
  ['/users', '/users/'],
  ['/users?limit=2', '/users?limi%74=2'],
  ['/users?limit=0', '/users?limi%74=0'],
  ['/users?cursor=nonsense', '/users?%63ursor=nonsense'],
  ['/auth/me', '/auth/me/'],
  ['/health/live', '/health/live/'],
];

test('the front answers as Express does', async (t) => {
  for (const [path, unusual] of spellings()) {
    const [front, express] = [
      await admin.client.raw('GET', path),
      await admin.client.raw('GET', unusual),
    ];
    t.deepEqual(comparable(front, path), comparable(express, unusual), path);
  }
});

test('what the front does not know to be right is left to Express', async (t) => {
  const [path] = [`/users/${ids[0]}`];
  const live = admin.client;
  t.is((await live.raw('GET', path)).status, 200);
  for (const [authorization, status] of [
    [undefined, 401],
    ['', 401],
    [`bearer ${admin.login.access_token}`, 200],
    [`Bearer  ${admin.login.access_token}`, 200],
    [`Bearer ${admin.login.access_token} x`, 401],
    [`Bearer ${admin.login.access_token.slice(0, -1)}`, 401],
    [`Basic ${admin.login.access_token}`, 401],
  ] as const) {
    const headers = authorization === undefined ? {} : { authorization };
    const answer = await api.client.raw('GET', path, { headers });
    t.is(answer.status, status, authorization);
  }
});

/** All that a client sees, except what names the request and what is told about another spelling of the path. */
function comparable({ status, headers, text, requestId }: Answer, path: string): object {
  const own = (value: string): string =>
    value.replaceAll(requestId, 'ID').replaceAll(path.split('?')[0] ?? '', 'PATH');
  const shown = [...headers]
    .filter(([name]) => name !== 'date')
    .map(([name, value]) => `${name}: ${own(value).replaceAll('%74', 't')}`);
  return { status, headers: shown.toSorted(), text: own(text) };
}
