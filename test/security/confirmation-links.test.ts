import test from 'ava';
import { mintedToken } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { createClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { telling, type Problem } from '../helpers/problem.js';
import { startApi } from '../helpers/processes.js';

const context = useContext();
const api = useApi(context);
const tokenFor = mintedToken(context);

const CHROME =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';

const confirm = (token: string) => api.client.post<Problem>('/auth/confirm', { token });

test.serial('S05 reading the confirmation page consumes nothing', async (t) => {
  const { email } = await api.admins.registerAdmin();
  const token = await tokenFor(email);
  for (const [method, agent] of [
    ['HEAD', 'a mail scanner'],
    ['GET', 'a mail scanner'],
    ['GET', 'a mail scanner'],
    ['GET', CHROME],
  ] as const) {
    const page = await api.client.request<string>(method, `/auth/confirm?token=${token}`, {
      headers: { 'user-agent': agent },
    });
    t.is(page.status, 200);
    t.is(page.headers.get('referrer-policy'), 'no-referrer');
    t.is(page.headers.get('cache-control'), 'no-store');
    const policy = page.headers.get('content-security-policy') ?? '';
    t.true(policy.startsWith("default-src 'none'"), policy);
    t.notRegex(
      page.body,
      /<script|<iframe|@import|url\(|(?:src|href)\s*=\s*["']?(?:https?:)?\/\//i,
    );
  }
  t.is(await confirmedAt(email), null);
  t.is((await confirm(token)).status, 200);
  t.not(await confirmedAt(email), null);
});

test.serial('S06 twenty presses at once confirm once and log nobody in', async (t) => {
  const { email } = await api.admins.registerAdmin();
  const token = await tokenFor(email);
  const answers = await Promise.all(Array.from({ length: 20 }, () => confirm(token)));
  const at = await confirmedAt(email);
  for (const { status, text, headers } of answers) {
    t.deepEqual([status, text], [200, '{"status":"confirmed"}']);
    t.is(headers.get('set-cookie'), null);
  }
  t.is((await confirm(token)).text, '{"status":"confirmed"}');
  t.deepEqual(await confirmedAt(email), at);
  t.is((await eventsOf(email, 'email_confirmed')).length, 1);
  t.deepEqual(await eventsOf(email, 'authn_login_success'), []);
});

test.serial(
  'S07 a link that has expired or been replaced is like one that never was',
  async (t) => {
    const never = await confirm(`ct_${'0'.repeat(32)}_${'A'.repeat(43)}`);
    t.deepEqual([never.status, never.body.code], [400, 'invalid_token']);

    const hasty = await startApi(context, { scope: t, env: { CONFIRMATION_EXPIRES: '1s' } });
    const late = api.admins.applicant();
    await createClient(hasty.url).post('/auth/register', late);
    const expired = await tokenFor(late.email);
    await eventually(
      async () =>
        (
          await context.rows('select from confirmations where email = $1 and expires_at < now()', [
            late.email,
          ])
        ).length === 1,
    );
    t.is(telling(await confirm(expired)), telling(never));
    t.is(await confirmedAt(late.email), null);

    const { email } = await api.admins.registerAdmin();
    const older = await tokenFor(email);
    t.is((await api.client.post('/auth/confirm/resend', { email })).status, 202);
    const newer = await tokenFor(email);
    t.not(newer, older);
    t.is(telling(await confirm(older)), telling(never));
    t.is((await confirm(newer)).status, 200);
  },
);

test.serial(
  'S14 login tells a stranger who has just registered an address whether it was confirmed before, and no other',
  async (t) => {
    const logIn = async (email: string, password: string) =>
      telling(await api.client.post<Problem>('/auth/login', { email, password }));
    const known = await api.admins.confirmedAdmin();
    const { email: unknown } = api.admins.applicant();
    const { password } = api.admins.applicant({ password: 'the password of a stranger' });
    t.is(await logIn(known.email, password), await logIn(unknown, password), 'without registering');

    for (const [email, status, code] of [
      [known.email, 401, 'invalid_credentials'],
      [unknown, 403, 'email_not_confirmed'],
    ] as const) {
      await api.admins.registerAdmin({ email, password });
      const answer = await api.client.post<Problem>('/auth/login', { email, password });
      t.deepEqual([answer.status, answer.body.code], [status, code]);
    }
  },
);

test.serial(
  'S08 nobody logs in before the address is confirmed, and a token is good for its purpose alone',
  async (t) => {
    const pending = await api.admins.registerAdmin();
    const logIn = (email: string, password: string) =>
      api.client.post<Problem>('/auth/login', { email, password });
    const early = await logIn(pending.email, pending.password);
    t.deepEqual([early.status, early.body.code], [403, 'email_not_confirmed']);
    t.notRegex(early.text, /token/);
    t.is(
      telling(await logIn(pending.email, `${pending.password}!`)),
      telling(await logIn(api.admins.applicant().email, pending.password)),
    );

    // One token of each purpose, of two admins.
    const mover = await api.admins.confirmedAdmin();
    const { email: newAddress } = api.admins.applicant();
    await mover.client.put('/auth/me', { email: newAddress, current_password: mover.password });
    await api.client.post('/auth/password/forgot', { email: mover.email });
    const tokens = {
      registration: await tokenFor(pending.email),
      change: await tokenFor(newAddress),
      reset: await tokenFor(mover.email),
    };
    const secretOf = (token: string) => token.slice(-43);
    const withSecret = (token: string, other: string) => token.slice(0, -43) + secretOf(other);
    for (const token of [
      tokens.reset,
      withSecret(tokens.change, tokens.registration),
      withSecret(tokens.registration, tokens.change),
      withSecret(tokens.registration, tokens.reset),
    ]) {
      t.is((await confirm(token)).body.code, 'invalid_token', token);
    }
    for (const token of [tokens.registration, tokens.change]) {
      const answer = await api.client.post<Problem>('/auth/password/reset', {
        token,
        password: 'a password that a wrong token brings',
      });
      t.is(answer.body.code, 'invalid_token', token);
    }
    t.is(await confirmedAt(pending.email), null);
    t.is((await logIn(mover.email, mover.password)).status, 200);
    t.is((await logIn(newAddress, mover.password)).status, 401);

    // And each is still good for what it is for.
    for (const token of [tokens.registration, tokens.change])
      t.is((await confirm(token)).status, 200);
    t.deepEqual(await eventsOf(pending.email, 'authn_login_success'), []);
    t.is((await logIn(pending.email, pending.password)).status, 200);
  },
);

test.serial(
  'an address that is taken by a change confirms nobody who had registered it meanwhile',
  async (t) => {
    const mover = await api.admins.confirmedAdmin();
    const squatter = await api.admins.registerAdmin();
    const registration = await tokenFor(squatter.email);
    await mover.client.put('/auth/me', {
      email: squatter.email,
      current_password: mover.password,
    });
    t.is((await confirm(await tokenFor(squatter.email))).status, 200);
    t.is((await confirm(registration)).body.code, 'invalid_token');
    const { email } = squatter;
    const { status } = await api.client.post('/auth/login', {
      email,
      password: squatter.password,
    });
    t.is(status, 401);
    t.is((await api.admins.logIn({ email, password: mover.password })).admin.id, mover.id);
  },
);

test.serial(
  'an address that is registered and confirmed is lost to a change that was asked for before',
  async (t) => {
    const mover = await api.admins.confirmedAdmin();
    const owner = api.admins.applicant();
    await mover.client.put('/auth/me', { email: owner.email, current_password: mover.password });
    const change = await tokenFor(owner.email);
    await api.admins.registerAdmin(owner);
    t.is((await confirm(await tokenFor(owner.email))).status, 200);
    t.is((await confirm(change)).body.code, 'invalid_token');
    t.not((await api.admins.logIn(owner)).admin.id, mover.id);
    t.is((await api.admins.logIn(mover)).admin.id, mover.id);
  },
);

test.serial(
  'of two registrations with different passwords each link brings its own password into force, and the first voids the other',
  async (t) => {
    for (const followed of ['first', 'second'] as const) {
      const first = await api.admins.registerAdmin();
      const second = api.admins.applicant({ email: first.email });
      const tokens: Record<string, string> = { first: await tokenFor(first.email) };
      await api.admins.registerAdmin(second);
      tokens['second'] = await tokenFor(first.email);
      t.not(tokens['first'], tokens['second']);
      const [winner, loser] = followed === 'first' ? [first, second] : [second, first];

      t.is((await confirm(tokens[followed] ?? '')).status, 200);
      const { admin } = await api.admins.logIn(winner);
      t.is(admin.name, winner.name);
      const { email, password } = loser;
      t.is((await api.client.post('/auth/login', { email, password })).status, 401);
      const other = tokens[followed === 'first' ? 'second' : 'first'] ?? '';
      t.is((await confirm(other)).body.code, 'invalid_token');
      t.is((await api.admins.logIn(winner)).admin.name, winner.name);
    }
  },
);

async function confirmedAt(email: string): Promise<Date | null | undefined> {
  const [row] = await context.rows<{ confirmed_at: Date | null }>(
    'select confirmed_at from admins where email = $1',
    [email],
  );
  return row?.confirmed_at;
}

const eventsOf = (email: string, event: string): Promise<object[]> =>
  context.rows(
    'select e.id from audit_events e join admins a on a.id = e.admin_id where a.email = $1 and e.event = $2',
    [email, event],
  );
