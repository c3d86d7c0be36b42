import test from 'ava';
import { createAdmins, type AdminFactory, type Applicant } from '../helpers/admins.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useSystem } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { linksIn, tokenIn } from '../helpers/mailbox.js';
import { mailOutcomes } from '../helpers/outbox.js';

const context = useSharedContext('limits');
/** The limits are those of production; behind a proxy, so that each test can be another client. */
const system = useSystem(context, { env: { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' } });

function at(ip: string): { client: ApiClient; admins: AdminFactory } {
  const client = createClient(system.server.url, { 'x-forwarded-for': ip });
  return { client, admins: createAdmins(context, client) };
}

const NEW_PASSWORD = 'nine green kettles on a ferry';

test.serial(
  'forgot for an address that has only been registered: one mail, whose link sets the password and confirms',
  async (t) => {
    const { client, admins } = at('203.0.113.1');
    const first = await admins.registerAdmin();
    const { email } = first;
    await mailOutcomes(context, email, 1);
    const newest = await admins.registerAdmin({ email });
    await mailOutcomes(context, email, 2);
    const answer = await client.post('/auth/password/forgot', { email });
    t.deepEqual([answer.status, answer.body], [202, { status: 'accepted' }]);
    const outcomes = await mailOutcomes(context, email, 3);
    t.deepEqual(outcomes[2], { outcome: 'sent', template: 'first_password' });
    const mails = await system.mailbox.mailsTo(email);
    t.is(mails.length, 3);
    const mail = await system.mailbox.waitForMail(email, { subject: /^Choose a password and/ });
    t.is(linksIn(mail)[0]?.pathname, '/auth/password/reset');

    const set = { token: tokenIn(mail), password: NEW_PASSWORD };
    t.is((await client.post('/auth/password/reset', set)).status, 204);
    t.is((await admins.logIn({ email, password: NEW_PASSWORD })).admin.name, newest.name);
    for (const { password } of [first, newest])
      t.is((await client.post('/auth/login', { email, password })).status, 401);
    t.is((await client.post('/auth/password/reset', set)).status, 400, 'it works once');
    const [confirmation = mail] = mails
      .filter(({ subject }) => subject.startsWith('Confirm'))
      .slice(-1);
    const pressed = { token: tokenIn(confirmation), password: newest.password };
    t.is((await client.post('/auth/confirm', pressed)).status, 403, 'the other link is used too');
    const events = await context.rows(
      `select e.event from audit_events e join admins a on a.id = e.admin_id
        where a.email = $1 and e.event <> 'authn_login_fail' order by e.at, e.id`,
      [email],
    );
    t.deepEqual(
      events.map(({ event }) => event),
      ['user_created', 'email_confirmed', 'authn_login_success', 'email_confirm_fail'],
    );
  },
);

test.serial('forgot for an address that nobody has registered mails nothing', async (t) => {
  const { client, admins } = at('203.0.113.2');
  const { email } = admins.applicant();
  const answer = await client.post('/auth/password/forgot', { email });
  t.deepEqual([answer.status, answer.body], [202, { status: 'accepted' }]);
  t.deepEqual(await mailOutcomes(context, email, 1), [{ outcome: 'obsolete', template: null }]);
  t.deepEqual(await system.mailbox.mailsTo(email), []);
});

test.serial(
  'a reset that confirms under a name that has been taken meanwhile: 409, then another name with the same link',
  async (t) => {
    const { client, admins } = at('203.0.113.3');
    const { email, name } = await admins.registerAdmin();
    await createAdmins(context, client).confirmedAdmin({ name: name.toUpperCase() });
    await client.post('/auth/password/forgot', { email });
    const mail = await system.mailbox.waitForMail(email, { subject: /^Choose a password and/ });
    const set = { token: tokenIn(mail), password: NEW_PASSWORD };
    const refused = await client.post<{ code: string }>('/auth/password/reset', set);
    t.deepEqual([refused.status, refused.body.code], [409, 'name_taken']);
    t.deepEqual(await context.rows('select id from admins where email = $1', [email]), []);
    const renamed = { ...set, name: `${name} II` };
    t.is((await client.post('/auth/password/reset', renamed)).status, 204);
    t.is((await admins.logIn({ email, password: NEW_PASSWORD })).admin.name, renamed.name);
  },
);

test.serial(
  'of many resets at once with one link one sets its password, whether the address is confirmed or only registered',
  async (t) => {
    for (const [i, isConfirmed] of [true, false, true, false].entries()) {
      const { client, admins } = at(`203.0.113.${10 + i}`);
      const { email } = isConfirmed
        ? await createAdmins(context, client).confirmedAdmin()
        : await admins.registerAdmin();
      await client.post('/auth/password/forgot', { email });
      const mail = await system.mailbox.waitForMail(email, { subject: /^Choose a/ });
      const token = tokenIn(mail);
      const passwords = [0, 1, 2, 3].map((n) => `${NEW_PASSWORD} ${n}`);
      const statuses = await Promise.all(
        passwords.map(
          async (password) =>
            (await client.post('/auth/password/reset', { token, password })).status,
        ),
      );
      t.is(statuses.filter((status) => status === 204).length, 1, statuses.join());
      t.is(statuses.filter((status) => status === 400).length, 3, statuses.join());
      const password = passwords[statuses.indexOf(204)] ?? '';
      t.is((await admins.logIn({ email, password })).admin.email, email);
    }
  },
);

test.serial(
  'a new password by mail forgets the guesses at the old one, on every network (field: keycloak/keycloak#45388)',
  async (t) => {
    const [home, elsewhere] = [at('203.0.113.20'), at('198.51.100.20')];
    const { email, password } = await createAdmins(context, home.client).confirmedAdmin();
    await forgetSessions(email);
    await context.rows('update confirmations set network = null where email = $1', [email]);
    for (const { client } of [home, elsewhere]) {
      for (let i = 0; i < 5; i += 1)
        await client.post('/auth/login', { email, password: `guess ${i}` });
      t.is((await client.post('/auth/login', { email, password })).status, 429);
    }
    await home.client.post('/auth/password/forgot', { email });
    const mail = await system.mailbox.waitForMail(email, { subject: /^Choose a new password/ });
    const set = { token: tokenIn(mail), password: NEW_PASSWORD };
    t.is((await home.client.post('/auth/password/reset', set)).status, 204);
    for (const { client } of [home, elsewhere]) {
      const login = await client.post('/auth/login', { email, password: NEW_PASSWORD });
      t.is(login.status, 200);
    }
  },
);

test.serial(
  'the page for an address that has only been registered shows the name and lets it be changed',
  async (t) => {
    const { client, admins } = at('203.0.113.40');
    const { email } = await admins.registerAdmin();
    const stranger = await admins.registerAdmin({ email });
    await mailOutcomes(context, email, 2);
    await client.post('/auth/password/forgot', { email });
    await mailOutcomes(context, email, 3);
    const token = tokenIn(
      await system.mailbox.waitForMail(email, { subject: /^Choose a password and/ }),
    );
    const page = await client.get<string>(`/auth/password/reset?token=${token}`);
    t.true(page.text.includes(`name="name" value="${stranger.name}"`));
    const name = `${stranger.name} herself`;
    const form = new URLSearchParams({ token, password: NEW_PASSWORD, name }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const set = await client.request('POST', '/auth/password/reset', { headers, body: form });
    t.is(set.status, 200);
    t.is((await admins.logIn({ email, password: NEW_PASSWORD })).admin.name, name);

    await client.post('/auth/password/forgot', { email });
    await mailOutcomes(context, email, 4);
    const reset = await system.mailbox.waitForMail(email, { subject: /^Choose a new password/ });
    const plain = await client.get<string>(`/auth/password/reset?token=${tokenIn(reset)}`);
    t.deepEqual([plain.status, plain.text.includes('name="name"')], [200, false]);
  },
);

/** The limits are those of production; behind a proxy, so that a stranger can be somebody else than the owner. */

/** Somebody at an address of their own. */
function somebodyAt(ip: string): { client: ApiClient; admins: AdminFactory } {
  const client = createClient(system.server.url, { 'x-forwarded-for': ip });
  return { client, admins: createAdmins(context, client) };
}
const stranger = () => somebodyAt('198.51.100.66');

test.serial(
  'a stranger who has used up all links of an address gets nothing of theirs into force: any mailed link confirms with the owner’s password',
  async (t) => {
    const owner = somebodyAt('203.0.113.20');
    const applicant = owner.admins.applicant();
    const { email, name, password } = applicant;
    const strangers = await registerInTurn(stranger().admins, [
      { email, name },
      { email, name },
      { email, name },
    ]);
    await owner.admins.registerAdmin(applicant);
    const outcomes = await mailOutcomes(context, email, 4);
    t.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ['sent', 'sent', 'sent', 'obsolete'],
    );
    const token = await newestToken(email);
    t.is((await owner.client.post('/auth/confirm', { token, password })).status, 200);
    t.is((await owner.admins.logIn(applicant)).admin.name, name);
    for (const each of strangers) {
      const refused = await stranger().client.post('/auth/login', {
        email,
        password: each.password,
      });
      t.is(refused.status, 401);
      const pressed = await stranger().client.post('/auth/confirm', {
        token,
        password: each.password,
      });
      t.is(pressed.status, 403, 'a used link takes the account’s password only');
    }
    t.deepEqual(await registrationsOf(email), []);
  },
);

test.serial(
  'nothing comes into force but the password that is entered: a stranger’s only if the reader of the mail enters it',
  async (t) => {
    const owner = somebodyAt('203.0.113.21');
    const mine = await owner.admins.registerAdmin();
    const { email } = mine;
    await mailOutcomes(context, email, 1);
    const theirs = await stranger().admins.registerAdmin({ email });
    await mailOutcomes(context, email, 2);
    const token = await newestToken(email);
    const { password } = theirs;
    t.is((await owner.client.post('/auth/confirm', { token, password })).status, 200);
    t.is((await owner.admins.logIn(theirs)).admin.name, theirs.name);
    const refused = await owner.client.post('/auth/login', { email, password: mine.password });
    t.is(refused.status, 401);
  },
);

test.serial(
  'a stranger can push the owner’s registration out, and the owner’s way on is to choose a password by mail',
  async (t) => {
    const owner = somebodyAt('203.0.113.22');
    const { email, password } = await owner.admins.registerAdmin();
    await mailOutcomes(context, email, 1);
    await registerInTurn(
      stranger().admins,
      Array.from({ length: 5 }, () => ({ email })),
    );
    const token = await newestToken(email);
    t.is((await owner.client.post('/auth/confirm', { token, password })).status, 403);
    await owner.client.post('/auth/password/forgot', { email });
    const outcomes = await mailOutcomes(context, email, 7);
    t.deepEqual(outcomes.at(-1), { outcome: 'sent', template: 'first_password' });
    const mail = await system.mailbox.waitForMail(email, { subject: /choose a password/i });
    const set = { token: tokenIn(mail), password, name: context.uniqueAddress('Name') };
    t.is((await owner.client.post('/auth/password/reset', set)).status, 204);
    t.is((await owner.admins.logIn({ email, password })).admin.name, set.name);
  },
);

test.serial(
  'a password that fits no registration is refused and counted, thirty times; nothing changes, and the login counts apart',
  async (t) => {
    const owner = somebodyAt('203.0.113.23');
    const applicant = await owner.admins.registerAdmin();
    const { email, password } = applicant;
    await mailOutcomes(context, email, 1);
    const token = await newestToken(email);
    const wrong = { token, password: `not ${password}` };
    for (let i = 0; i < 30; i += 1) {
      const refused = await somebodyAt(`203.0.113.${100 + i}`).client.post<{ code: string }>(
        '/auth/confirm',
        wrong,
      );
      t.deepEqual([refused.status, refused.body.code], [403, 'wrong_password']);
    }
    for (const each of [wrong, { token, password }]) {
      const locked = await owner.client.post<{ code: string }>('/auth/confirm', each);
      t.deepEqual([locked.status, locked.body.code], [429, 'too_many_attempts']);
      t.regex(locked.headers.get('retry-after') ?? '', /^\d+$/);
    }
    t.deepEqual(await registrationsOf(email), [{ name: applicant.name }]);
    t.deepEqual(await context.rows('select id from admins where email = $1', [email]), []);
    t.deepEqual(
      await context.rows(
        `select count(*)::int as refused from audit_events where event = 'email_confirm_fail'
            and ip::text like '203.0.113.1__'`,
      ),
      [{ refused: 30 }],
    );
    for (let i = 0; i < 5; i += 1) {
      const login = await owner.client.post<{ code: string }>('/auth/login', { email, password });
      t.deepEqual([login.status, login.body.code], [403, 'email_not_confirmed']);
    }
  },
);

test.serial(
  'twenty guesses at an address that nobody has yet lock neither its confirmation nor the first login (field: guesses before the address exists)',
  async (t) => {
    const owner = somebodyAt('203.0.113.24');
    const applicant = owner.admins.applicant();
    const { email, password } = applicant;
    // Five of them from the owner's own network.
    for (const ip of ['198.51.100.1', '198.51.101.1', '198.51.102.1', '203.0.113.99']) {
      for (let i = 0; i < 5; i += 1) {
        const guess = { email, password: `guess ${i} from ${ip}` };
        t.is((await somebodyAt(ip).client.post('/auth/login', guess)).status, 401);
      }
    }
    const locked = await owner.client.post('/auth/login', { email, password });
    t.is(locked.status, 429, 'so far it is as locked as any address');
    await owner.admins.registerAdmin(applicant);
    await mailOutcomes(context, email, 1);
    const token = await newestToken(email);
    t.is((await owner.client.post('/auth/confirm', { token, password })).status, 200);
    t.is((await owner.admins.logIn(applicant)).admin.email, email);

    // The network of the confirmation is the owner's: guesses from elsewhere do not lock it again.
    for (const ip of ['198.51.100.1', '198.51.101.1', '198.51.102.1', '198.51.103.1']) {
      for (let i = 0; i < 5; i += 1)
        await somebodyAt(ip).client.post('/auth/login', {
          email,
          password: `guess ${i} from ${ip}`,
        });
    }
    await forgetSessions(email);
    t.is((await owner.admins.logIn(applicant)).admin.email, email);
    const elsewhere = await somebodyAt('198.51.104.1').client.post('/auth/login', {
      email,
      password,
    });
    t.is(elsewhere.status, 429);
  },
);

/** One after the other, each with its mail settled before the next. */
async function registerInTurn(
  admins: AdminFactory,
  all: readonly (Partial<Applicant> & Pick<Applicant, 'email'>)[],
): Promise<Applicant[]> {
  const registered: Applicant[] = [];
  for (const each of all) {
    const before = await context.rows('select id from outbox where recipient = $1', [each.email]);
    registered.push(await admins.registerAdmin(each));
    await mailOutcomes(context, each.email, before.length + 1);
  }
  return registered;
}

async function newestToken(email: string): Promise<string> {
  const mail = (await system.mailbox.mailsTo(email)).at(-1);
  if (!mail) throw new Error(`no mail to ${email}`);
  return tokenIn(mail);
}

const forgetSessions = (email: string): Promise<object[]> =>
  context.rows('delete from sessions where admin_id in (select id from admins where email = $1)', [
    email,
  ]);

const registrationsOf = (email: string): Promise<{ name: string }[]> =>
  context.rows('select name from registrations where email = $1', [email]);
