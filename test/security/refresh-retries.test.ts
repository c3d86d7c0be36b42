import test, { type ExecutionContext } from 'ava';
import { createAdmins, type Login, type TestAdmin } from '../helpers/admins.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { startApi } from '../helpers/processes.js';
import { ageRotations } from '../helpers/rotations.js';
import { runApi } from '../helpers/servers.js';
import { openStatementRecorder, type StatementRecorder } from '../helpers/statements.js';

const context = useContext();

let recorder: StatementRecorder;
let clients: readonly [ApiClient, ApiClient];
test.serial.before('start two APIs on one database', async () => {
  recorder = await openStatementRecorder(context, context.databaseUrl);
  const env = { DATABASE_URL: recorder.url };
  const [here, there] = await Promise.all([runApi(context, { env }), startApi(context)]);
  clients = [createClient(here.url), createClient(there.url)];
});

const HOUR = 3_600;

test('S36 an answer that was lost is given again, however late it is asked for (field: supabase/auth #1318)', async (t) => {
  const admin = await logInAnew();
  const { refresh_token: sent, access_token: before } = admin.login;
  const lost = await refresh(sent);
  for (const seconds of [12, HOUR, 24 * HOUR]) {
    await ageRotations(context, admin.id, seconds);
    // Whoever has only the old tokens goes on using them: that says nothing of the new ones.
    t.is(await statusOf(before), 200);
    const again = await refresh(sent);
    t.deepEqual([again.status, again.body.refresh_token], [200, lost.body.refresh_token]);
  }
  const next = await refresh(lost.body.refresh_token);
  t.is(next.status, 200, 'the successor is good');
  t.is(await statusOf(next.body.access_token), 200);
  t.is(await endOf(admin), null);
});

test('S36 every answer of a session can be lost once, and is given again late', async (t) => {
  const admin = await logInAnew();
  let sent = admin.login.refresh_token;
  for (let i = 0; i < 3; i++) {
    const lost = await refresh(sent);
    await ageRotations(context, admin.id, HOUR);
    const { status, body } = await refresh(sent);
    t.deepEqual([status, body.refresh_token], [200, lost.body.refresh_token]);
    sent = body.refresh_token;
  }
  t.is(await endOf(admin), null);
});

test('S36 five tabs at once get one token, and each goes on working', async (t) => {
  const admin = await logInAnew();
  const tabs = await Promise.all(
    Array.from({ length: 5 }, (_, i) => refresh(admin.login.refresh_token, clients[i % 2])),
  );
  t.deepEqual(
    tabs.map(({ status }) => status),
    [200, 200, 200, 200, 200],
  );
  t.is(new Set(tabs.map(({ body }) => body.refresh_token)).size, 1);
  for (const { body } of tabs) t.is(await statusOf(body.access_token), 200);
});

test('S36 a tab that is two exchanges behind gets the current tokens (field: zitadel #9631)', async (t) => {
  const admin = await logInAnew();
  const first = admin.login.refresh_token;
  const { body: second } = await refresh(first);
  await keepRecent(admin);
  t.is(await statusOf(second.access_token), 200);
  const { body: third } = await refresh(second.refresh_token);
  await keepRecent(admin);
  t.is(await statusOf(third.access_token), 200);

  for (const old of [first, second.refresh_token]) {
    const { status, body } = await refresh(old, clients[1]);
    t.deepEqual([status, body.refresh_token], [200, third.refresh_token]);
    t.is(await statusOf(body.access_token), 200);
  }
  t.is(await statusOf(third.access_token), 200, 'the other tab goes on');
  t.is(await endOf(admin), null);
});

test('S36 of many exchanges in a row each is remembered for ten seconds', async (t) => {
  const admin = await logInAnew();
  const tokens = [admin.login.refresh_token];
  const exchange = async (): Promise<void> => {
    tokens.push((await refresh(tokens.at(-1) ?? '')).body.refresh_token);
    await keepRecent(admin);
  };
  for (let i = 0; i < 20; i++) await exchange();
  for (const old of tokens.slice(0, -1)) {
    const { status, body } = await refresh(old);
    t.deepEqual([status, body.refresh_token], [200, tokens.at(-1)]);
  }
  await ageRotations(context, admin.id, 24 * HOUR);
  await exchange();
  t.is((await refresh(tokens.at(-2) ?? '')).status, 200, 'exchanged a moment ago');
  await endsTheSession(t, admin, tokens.at(-3) ?? '', 'exchanged long ago');
});

test('S35 a stolen refresh token shows once the successor’s access token was used, on any instance', async (t) => {
  const admin = await logInAnew();
  const { body: second } = await refresh(admin.login.refresh_token);
  t.is(await statusOf(second.access_token, clients[1]), 200);
  await ageRotations(context, admin.id, 11);
  await endsTheSession(t, admin, admin.login.refresh_token);
  t.is(await statusOf(second.access_token), 401);
});

test('S35 a stolen refresh token shows once the successor was exchanged', async (t) => {
  const admin = await logInAnew();
  const { body: second } = await refresh(admin.login.refresh_token);
  await refresh(second.refresh_token);
  await ageRotations(context, admin.id, 11);
  await endsTheSession(t, admin, admin.login.refresh_token);
});

test('S35 a thief who comes first shows when the owner asks with the token that was stolen', async (t) => {
  const admin = await logInAnew();
  const { body: thief } = await refresh(admin.login.refresh_token);
  const users = await createClient(clients[0].baseUrl).as(thief.access_token).get('/users');
  t.is(users.status, 200);
  await ageRotations(context, admin.id, 11);
  await endsTheSession(t, admin, admin.login.refresh_token);
  t.is(await statusOf(thief.access_token), 401);
  t.is((await refresh(thief.refresh_token)).status, 401);
});

test('S35 an older ancestor is theft after ten seconds, also when the newest tokens are unused', async (t) => {
  const admin = await logInAnew();
  const { body: second } = await refresh(admin.login.refresh_token);
  await refresh(second.refresh_token);
  await ageRotations(context, admin.id, 11);
  await endsTheSession(t, admin, admin.login.refresh_token);
  t.is((await refresh(second.refresh_token)).status, 401);
});

test.serial(
  'the first use of a generation costs one statement more, and no other use does',
  async (t) => {
    const { login } = await logInAnew();
    const [one, other] = clients;
    const statements = (token: string): Promise<string[]> =>
      recorder.during(async () => t.is(await statusOf(token, one), 200));
    const kinds = (sent: readonly string[]): string[] => sent.map((sql) => sql.slice(0, 6));

    t.deepEqual(kinds(await statements(login.access_token)), ['select']);
    const { body: second } = await refresh(login.refresh_token);
    const first = await statements(second.access_token);
    t.deepEqual(kinds(first), ['select', 'update']);
    t.regex(first[1] ?? '', /^update sessions set used_generation/);
    t.deepEqual(kinds(await statements(second.access_token)), ['select']);
    t.deepEqual(kinds(await statements(login.access_token)), ['select'], 'of an older generation');

    const { body: third } = await refresh(second.refresh_token);
    t.is(await statusOf(third.access_token, other), 200);
    t.deepEqual(kinds(await statements(third.access_token)), ['select'], 'used elsewhere before');
  },
);

/** However slow the machine is, what has been exchanged so far stays a moment ago. */
const keepRecent = ({ id }: TestAdmin): Promise<void> => ageRotations(context, id, -HOUR);

async function logInAnew(): Promise<TestAdmin> {
  return createAdmins(context, clients[0]).confirmedAdmin();
}

const refresh = (token: string, client: ApiClient = clients[0]) =>
  client.post<Login>('/auth/refresh', { refresh_token: token });

const statusOf = async (token: string, client: ApiClient = clients[0]): Promise<number> =>
  (await client.as(token).get('/auth/me')).status;

async function endOf({ id }: TestAdmin): Promise<string | null | undefined> {
  const [row] = await context.rows<{ ended_reason: string | null }>(
    'select ended_reason from sessions where admin_id = $1',
    [id],
  );
  return row?.ended_reason;
}

async function endsTheSession(
  t: ExecutionContext,
  admin: TestAdmin,
  token: string,
  why?: string,
): Promise<void> {
  t.is(await endOf(admin), null);
  t.is((await refresh(token)).status, 401, why);
  t.is(await endOf(admin), 'reuse', why);
  const told = await context.rows(
    `select from audit_events where event = 'authn_token_reuse' and admin_id = $1`,
    [admin.id],
  );
  t.is(told.length, 1);
}
