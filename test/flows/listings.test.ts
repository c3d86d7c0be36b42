import test from 'ava';
import { createAdmins, type TestAdmin } from '../helpers/admins.js';
import { createClient, type ApiClient, type Answer } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { nextPageOf } from '../helpers/next-page.js';
import { runApi } from '../helpers/servers.js';

const context = useContext();
const api = useApi(context, {
  env: { OPERATOR_EMAILS: `Operator@${context.mailDomain}, nobody@x.test` },
});

interface Item {
  readonly id: number;
  readonly email: string;
  readonly role?: string;
}

let ann: TestAdmin;
let bob: TestAdmin;
let operator: TestAdmin;
test.serial.before('make three admins, one with users', async () => {
  ann = await api.admins.confirmedAdmin();
  bob = await api.admins.confirmedAdmin();
  operator = await api.admins.confirmedAdmin({ email: `operator@${context.mailDomain}` });
  for (let i = 0; i < 7; i++) await ann.client.post('/users', { email: `user-${i}@x.test` });
  await bob.client.post('/users', { email: 'other@x.test' });
});

test.serial('GET /users lists one’s own users, oldest first', async (t) => {
  const { status, body } = await ann.client.get<Item[]>('/users');
  t.is(status, 200);
  t.deepEqual(
    body.map(({ email }) => email),
    Array.from({ length: 7 }, (_, i) => `user-${i}@x.test`),
  );
  t.deepEqual(
    (await bob.client.get<Item[]>('/users')).body.map(({ email }) => email),
    ['other@x.test'],
  );
  t.deepEqual((await operator.client.get('/users')).body, []);
});

for (const limit of [1, 2, 3, 7, 100]) {
  test.serial(`following the links from limit=${limit} leads past every user once`, async (t) => {
    const pages = await walk(ann.client, `/users?limit=${limit}`);
    t.deepEqual(
      pages.map((page) => page.length),
      sizes(7, limit),
    );
    t.deepEqual(
      pages.flat().map(({ email }) => email),
      Array.from({ length: 7 }, (_, i) => `user-${i}@x.test`),
    );
  });
}

test.serial('a user created while one pages is met once, one deleted is not missed', async (t) => {
  const first = await bob.client.post<Item>('/users', { email: 'a@x.test' });
  await bob.client.post('/users', { email: 'b@x.test' });
  const page = await bob.client.get<Item[]>('/users?limit=2');
  await bob.client.delete(`/users/${first.body.id}`);
  await bob.client.post('/users', { email: 'c@x.test' });
  const rest = await walk(bob.client, nextPageOf(page) ?? '');
  t.deepEqual(
    [...page.body, ...rest.flat()].map(({ email }) => email),
    ['other@x.test', 'a@x.test', 'b@x.test', 'c@x.test'],
  );
});

test.serial('a cursor is good for its own listing alone', async (t) => {
  const link = nextPageOf(await ann.client.get<Item[]>('/users?limit=1')) ?? '';
  const refused = await bob.client.get<{ code: string }>(link);
  t.deepEqual([refused.status, refused.body.code], [400, 'invalid_cursor']);
  const cursor = new URL(link, 'http://x').searchParams.get('cursor') ?? '';
  t.is((await ann.client.get(`/auth/admins?cursor=${cursor}`)).status, 400);
});

test.serial('every instance takes every other’s cursors', async (t) => {
  const other = await runApi(context, { scope: t });
  const link = nextPageOf(await ann.client.get<Item[]>('/users?limit=1')) ?? '';
  t.is((await createClient(other.url).as(ann.login.access_token).get(link)).status, 200);
});

test.serial('GET /auth/admins: an operator sees every admin, any other admin itself', async (t) => {
  t.is(operator.login.admin.role, 'operator');
  t.is(ann.login.admin.role, 'admin');
  const all = (await operator.client.get<Item[]>('/auth/admins')).body;
  t.deepEqual(
    all.map(({ id }) => id),
    [ann.id, bob.id, operator.id].toSorted((a, b) => a - b),
  );
  t.deepEqual(all.map(({ role = '' }) => role).toSorted(), ['admin', 'admin', 'operator']);
  t.false(JSON.stringify(all).includes('password'));
  t.deepEqual(
    (await ann.client.get<Item[]>('/auth/admins')).body.map(({ id }) => id),
    [ann.id],
  );
});

test.serial(
  'an operator’s listing comes in pages, without what is only registered; logged_in=true keeps live sessions',
  async (t) => {
    await api.admins.registerAdmin();
    const pages = await walk(operator.client, '/auth/admins?limit=2');
    t.deepEqual(
      pages.map((page) => page.map(({ id }) => id)),
      [[ann.id, bob.id], [operator.id]],
    );

    const second = await api.admins.logIn(bob);
    const loggedIn = async (): Promise<number[]> =>
      (await operator.client.get<Item[]>('/auth/admins?logged_in=true')).body.map(({ id }) => id);
    t.deepEqual(await loggedIn(), [ann.id, bob.id, operator.id]);
    await bob.client.post('/auth/logout');
    t.true((await loggedIn()).includes(bob.id), 'another session lives');
    await api.client.as(second.access_token).post('/auth/logout');
    t.deepEqual(await loggedIn(), [ann.id, operator.id]);
    await context.rows('update sessions set expires_at = now() where admin_id = $1', [ann.id]);
    t.deepEqual(await loggedIn(), [operator.id]);
  },
);

test.serial('an operator is no better than others with other admins’ users', async (t) => {
  const admins = createAdmins(context, api.client);
  const owner = await admins.confirmedAdmin();
  const { id } = (await owner.client.post<Item>('/users', { email: 'private@x.test' })).body;
  t.is((await operator.client.get(`/users/${id}`)).status, 404);
});

test.serial('an operator’s address makes nobody an operator before it is confirmed', async (t) => {
  const { url } = await runApi(context, {
    scope: t,
    env: { OPERATOR_EMAILS: `soon@${context.mailDomain}` },
  });
  const admins = createAdmins(context, createClient(url));
  const { email, password } = await admins.registerAdmin({ email: `soon@${context.mailDomain}` });
  const refused = await createClient(url).post('/auth/login', { email, password });
  t.is(refused.status, 403);
  const all = (await operator.client.get<Item[]>('/auth/admins?limit=100')).body;
  t.false(all.some((each) => each.email === email));
  const soon = await admins.confirmedAdmin({ email });
  t.is(soon.login.admin.role, 'operator');
});

/** Follows `Link: rel="next"` to the end. */
async function walk(client: ApiClient, start: string): Promise<(readonly Item[])[]> {
  const pages: (readonly Item[])[] = [];
  for (let path: string | undefined = start; path !== undefined && pages.length < 50;) {
    const answer: Answer<Item[]> = await client.get<Item[]>(path);
    if (answer.status !== 200) throw new Error(answer.text);
    pages.push(answer.body);
    path = nextPageOf(answer);
  }
  return pages;
}

/** How many items each page holds: full pages, then the rest. */
function sizes(total: number, limit: number): number[] {
  const rest = total % limit;
  return [...Array<number>(Math.floor(total / limit)).fill(limit), ...(rest > 0 ? [rest] : [])];
}
