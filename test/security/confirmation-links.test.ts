import test from 'ava';
import { mintedToken, type Applicant } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { createClient } from '../helpers/api-client.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createMailbox, tokenIn } from '../helpers/mailbox.js';
import { comparable, type Problem } from '../helpers/problem.js';
import { runApi, runWorker } from '../helpers/servers.js';

const context = useSharedContext('api');
const api = useApi(context);
const tokenFor = mintedToken(context);
const mailbox = createMailbox(context.stack);

const CHROME =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';
const NEVER = `ct_${'0'.repeat(32)}_${'A'.repeat(43)}`;
const AT_ONCE = 20;

const confirm = (token: string, password: string) =>
  api.client.post<Problem>('/auth/confirm', { token, password });
const reset = (token: string, password: string) =>
  api.client.post<Problem>('/auth/password/reset', { token, password });
const forgot = (email: string) => api.client.post('/auth/password/forgot', { email });
const logIn = (email: string, password: string) =>
  api.client.post<Problem>('/auth/login', { email, password });

test.serial('S05 reading the page of a link consumes nothing', async (t) => {
  const { email, password } = await api.admins.registerAdmin();
  const token = await tokenFor(email);
  await forgot(email);
  const resetToken = await tokenFor(email);
  for (const path of [`/auth/confirm?token=${token}`, `/auth/password/reset?token=${resetToken}`]) {
    for (const [method, agent] of [
      ['HEAD', 'a mail scanner'],
      ['GET', 'a mail scanner'],
      ['GET', 'a mail scanner'],
      ['GET', CHROME],
    ] as const) {
      const page = await api.client.request<string>(method, path, {
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
  }
  t.is(await confirmedAt(email), undefined);
  t.is((await confirm(token, password)).status, 200);
  t.true((await confirmedAt(email)) instanceof Date);
});

test.serial('S06 twenty presses at once confirm once and log nobody in', async (t) => {
  const { email, password } = await api.admins.registerAdmin();
  const token = await tokenFor(email);
  const answers = await Promise.all(
    Array.from({ length: AT_ONCE }, () => confirm(token, password)),
  );
  const at = await confirmedAt(email);
  for (const { status, text, headers } of answers) {
    t.deepEqual([status, text], [200, '{"status":"confirmed"}']);
    t.is(headers.get('set-cookie'), null);
  }
  t.is((await confirm(token, password)).text, '{"status":"confirmed"}');
  t.is((await confirm(token, `${password}!`)).body.code, 'wrong_password', 'used or not');
  t.deepEqual(await confirmedAt(email), at);
  for (const event of ['user_created', 'email_confirmed'])
    t.is((await eventsOf(email, event)).length, 1, event);
  t.deepEqual(await eventsOf(email, 'authn_login_success'), []);
});

test.serial('S06 of many passwords that one link is to set at once, one is set', async (t) => {
  const registered = await api.admins.registerAdmin();
  const confirmed = await api.admins.confirmedAdmin();
  for (const { email, password: old } of [registered, confirmed]) {
    await forgot(email);
    const token = await tokenFor(email);
    const passwords = Array.from({ length: 8 }, (_, i) => `one of many new passwords ${i}`);
    const answers = await Promise.all(passwords.map((password) => reset(token, password)));
    const statuses = answers.map(({ status }) => status);
    t.deepEqual(
      statuses.toSorted((a, b) => a - b),
      [204, ...Array<number>(passwords.length - 1).fill(400)],
    );
    for (const [i, password] of passwords.entries())
      t.is((await logIn(email, password)).status, statuses[i] === 204 ? 200 : 401, password);
    t.is((await logIn(email, old)).status, 401);
    t.is((await reset(token, 'and later on yet another one')).body.code, 'invalid_token');
  }
});

test.serial(
  'S07 a link that has expired or been replaced is like one that never was',
  async (t) => {
    const { password } = api.admins.applicant();
    const never = await confirm(NEVER, password);
    t.deepEqual([never.status, never.body.code], [400, 'invalid_token']);
    const pageOf = (token: string) => api.client.get<string>(`/auth/confirm?token=${token}`);
    const neverPage = await pageOf(NEVER);
    t.is(neverPage.status, 400);

    const hasty = await runApi(context, { scope: t, env: { CONFIRMATION_EXPIRES: '1s' } });
    const late = api.admins.applicant({ password });
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
    t.is(comparable(await confirm(expired, password)), comparable(never));
    t.is((await pageOf(expired)).text, neverPage.text);
    t.is(await confirmedAt(late.email), undefined);

    await runWorker(context, { scope: t });
    const { email } = await api.admins.registerAdmin({ password });
    const seen = new Set<string>();
    const nextToken = async (): Promise<string> => {
      const token = await eventually(async () => {
        const newest = tokenIn(await mailbox.waitForMail(email));
        return !seen.has(newest) && newest;
      });
      seen.add(token);
      return token;
    };
    const oldest = await nextToken();
    for (const [ask, use] of [
      [() => api.client.post('/auth/confirm/resend', { email }), confirm],
      [() => forgot(email), reset],
    ] as const) {
      await ask();
      const older = await nextToken();
      await ask();
      const newest = await nextToken();
      t.is(comparable(await use(older, password)), comparable(never));
      t.is(comparable(await confirm(oldest, password)), comparable(never), 'the first of all');
      if (use === reset) t.is((await use(newest, password)).status, 204);
    }
    t.true((await confirmedAt(email)) instanceof Date);
  },
);

test.serial(
  'S14 login does not tell a stranger who has just registered an address whether it has an account',
  async (t) => {
    const known = await api.admins.confirmedAdmin();
    const { email: unknown } = api.admins.applicant();
    const { password } = api.admins.applicant({ password: 'the password of a stranger' });
    const answers: string[] = [];
    for (const email of [known.email, unknown]) {
      t.is((await logIn(email, password)).status, 401, 'without registering');
      await api.admins.registerAdmin({ email, password });
      const answer = await logIn(email, password);
      t.deepEqual([answer.status, answer.body.code], [403, 'email_not_confirmed']);
      answers.push(comparable(answer));
    }
    t.is(answers[0], answers[1]);
    t.is((await api.admins.logIn(known)).admin.id, known.id);
  },
);

test.serial(
  'S08 nobody logs in before the address is confirmed, and a token is good for its purpose alone',
  async (t) => {
    const pending = await api.admins.registerAdmin();
    const early = await logIn(pending.email, pending.password);
    t.deepEqual([early.status, early.body.code], [403, 'email_not_confirmed']);
    t.notRegex(early.text, /token/);
    t.is(
      comparable(await logIn(pending.email, `${pending.password}!`)),
      comparable(await logIn(api.admins.applicant().email, pending.password)),
    );

    // One token of each purpose, of two admins.
    const mover = await api.admins.confirmedAdmin();
    const { email: newAddress } = api.admins.applicant();
    await mover.client.put('/auth/me', { email: newAddress, current_password: mover.password });
    await forgot(mover.email);
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
      for (const { password } of [pending, mover])
        t.is((await confirm(token, password)).body.code, 'invalid_token', token);
    }
    for (const token of [tokens.registration, tokens.change]) {
      const answer = await reset(token, 'a password that a wrong token brings');
      t.is(answer.body.code, 'invalid_token', token);
    }
    t.is((await confirm(tokens.registration, mover.password)).body.code, 'wrong_password');
    t.is((await confirm(tokens.change, pending.password)).body.code, 'wrong_password');
    t.is(await confirmedAt(pending.email), undefined);
    t.is((await logIn(mover.email, mover.password)).status, 200);
    t.is((await logIn(newAddress, mover.password)).status, 401);

    // And each is still good for what it is for.
    t.is((await confirm(tokens.registration, pending.password)).status, 200);
    t.is((await confirm(tokens.change, mover.password)).status, 200);
    t.deepEqual(await eventsOf(pending.email, 'authn_login_success'), []);
    t.is((await logIn(pending.email, pending.password)).status, 200);
  },
);

test.serial(
  'an address that is taken by a change confirms nobody who had registered it meanwhile',
  async (t) => {
    const mover = await api.admins.confirmedAdmin();
    const squatter = await api.admins.registerAdmin();
    const { email } = squatter;
    const registration = await tokenFor(email);
    await forgot(email);
    const firstPassword = await tokenFor(email);
    await mover.client.put('/auth/me', { email, current_password: mover.password });
    t.is((await confirm(await tokenFor(email), mover.password)).status, 200);
    for (const { password } of [squatter, mover])
      t.is((await confirm(registration, password)).body.code, 'invalid_token');
    t.is((await reset(firstPassword, squatter.password)).body.code, 'invalid_token');
    t.is((await logIn(email, squatter.password)).status, 401);
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
    t.is((await confirm(await tokenFor(owner.email), owner.password)).status, 200);
    t.is((await confirm(change, mover.password)).body.code, 'invalid_token');
    t.not((await api.admins.logIn(owner)).admin.id, mover.id);
    t.is((await api.admins.logIn(mover)).admin.id, mover.id);
  },
);

test.serial(
  'S82 of two registrations the password that is entered picks one, whichever link is followed',
  async (t) => {
    for (const followed of [0, 1] as const) {
      for (const chosen of [0, 1] as const) {
        const first = await api.admins.registerAdmin();
        const links = [await tokenFor(first.email)];
        const second = await api.admins.registerAdmin({ email: first.email });
        links.push(await tokenFor(first.email));
        t.not(links[0], links[1]);
        const both: readonly [Applicant, Applicant] = [first, second];
        const [winner, loser] = [both[chosen], both[1 - chosen] ?? first];

        t.is((await confirm(links[followed] ?? '', winner.password)).status, 200);
        t.is((await api.admins.logIn(winner)).admin.name, winner.name);
        t.is((await logIn(first.email, loser.password)).status, 401);
        for (const link of links) {
          t.is((await confirm(link, loser.password)).body.code, 'wrong_password');
          t.is((await confirm(link, winner.password)).status, 200, 'confirmed already');
        }
        t.is((await api.admins.logIn(winner)).admin.name, winner.name);
        const left = await context.rows('select from registrations where email_canonical = $1', [
          first.email,
        ]);
        t.deepEqual(left, []);
      }
    }
  },
);

/** When the address was confirmed; `undefined` while nobody has it. */
async function confirmedAt(email: string): Promise<Date | undefined> {
  const [row] = await context.rows<{ confirmed_at: Date }>(
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
