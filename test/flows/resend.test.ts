import test from 'ava';
import { createAdmins, mailedToken, type AdminFactory } from '../helpers/admins.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useSystem } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { tokenIn } from '../helpers/mailbox.js';
import { mailOutcomes } from '../helpers/outbox.js';

const context = useSharedContext('limits');
/** The limits are those of production; behind a proxy, so that each test can be another client. */
const system = useSystem(context, { env: { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' } });
const clientAt = (ip: string): ApiClient =>
  createClient(system.server.url, { 'x-forwarded-for': ip });
/** Somebody at an address that no other file uses. */
function somebody(): { client: ApiClient; admins: AdminFactory } {
  const client = clientAt('192.0.2.200');
  return { client, admins: createAdmins(context, client, mailedToken(context)) };
}

const outcomesOf = async (email: string, count: number): Promise<string[]> =>
  (await mailOutcomes(context, email, count)).map(({ outcome }) => outcome);

test.serial(
  'POST /auth/confirm/resend: unknown, pending and confirmed addresses get the same bytes',
  async (t) => {
    const { admins, client } = somebody();
    const confirmed = await admins.confirmedAdmin();
    const pending = await admins.registerAdmin();
    const texts = new Set<string>();
    for (const email of [admins.applicant().email, pending.email, confirmed.email]) {
      const answer = await client.post('/auth/confirm/resend', { email });
      t.is(answer.status, 202);
      texts.add(answer.text);
    }
    t.is(texts.size, 1);
  },
);

test.serial('a pending address gets a new link, and only the newest works', async (t) => {
  const { mailbox } = system;
  const { admins, client } = somebody();
  const applicant = await admins.registerAdmin();
  const { email, password } = applicant;
  const first = tokenIn(await mailbox.waitForMail(email));
  await client.post('/auth/confirm/resend', { email });
  await outcomesOf(email, 2);
  const second = (await mailbox.mailsTo(email)).map(tokenIn).find((token) => token !== first);
  t.is((await client.post('/auth/confirm', { token: first, password })).status, 400);
  t.is((await client.post('/auth/confirm', { token: second, password })).status, 200);
  t.is((await admins.logIn(applicant)).admin.email, email);
});

test.serial(
  'one more link serves every registration of the address, by the password that is entered',
  async (t) => {
    const { mailbox } = system;
    const { admins } = somebody();
    for (const picked of [0, 1]) {
      const client = clientAt(`192.0.2.${10 + picked}`);
      const owner = await admins.registerAdmin();
      const { email } = owner;
      await outcomesOf(email, 1);
      const stranger = await admins.registerAdmin({ email });
      await outcomesOf(email, 2);
      const old = (await mailbox.mailsTo(email)).map(tokenIn);
      await client.post('/auth/confirm/resend', { email });
      t.deepEqual(await outcomesOf(email, 3), ['sent', 'sent', 'sent']);
      const token = (await mailbox.mailsTo(email)).map(tokenIn).find((each) => !old.includes(each));
      const [inForce, other] = picked === 0 ? [owner, stranger] : [stranger, owner];
      const { password } = inForce;
      for (const each of old)
        t.is((await client.post('/auth/confirm', { token: each, password })).status, 400);
      t.is((await client.post('/auth/confirm', { token, password })).status, 200);
      t.is((await admins.logIn(inForce)).admin.name, inForce.name);
      const wrong = { email, password: other.password };
      t.is((await client.post('/auth/login', wrong)).status, 401);
    }
  },
);

test.serial(
  'a confirmed address is told that it has an account, once a day; an unknown one is mailed nothing',
  async (t) => {
    const { mailbox } = system;
    const { admins } = somebody();
    const client = clientAt('192.0.2.5');
    const { email: confirmed } = await admins.confirmedAdmin();
    const { email: unknown } = admins.applicant();
    await client.post('/auth/confirm/resend', { email: unknown });
    const body = String(new URLSearchParams({ email: confirmed }));
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const page = await client.request('POST', '/auth/confirm/resend', { body, headers });
    t.is(page.status, 202);
    await outcomesOf(confirmed, 2);
    await client.post('/auth/confirm/resend', { email: confirmed });
    await outcomesOf(confirmed, 3);
    await admins.registerAdmin({ email: confirmed });
    t.deepEqual(await outcomesOf(confirmed, 4), ['sent', 'sent', 'obsolete', 'obsolete']);
    t.deepEqual(await outcomesOf(unknown, 1), ['obsolete']);
    const subjects = (await mailbox.mailsTo(confirmed)).map(({ subject }) => subject);
    t.deepEqual(subjects.toSorted(), [
      'Confirm your e-mail address',
      'You already have an account',
    ]);
    t.is((await mailbox.mailsTo(unknown)).length, 0);
  },
);

test.serial(
  'at most three links an hour go to one address, the answer does not tell, and the newest that was sent works',
  async (t) => {
    const client = clientAt('192.0.2.1');
    const { email, password } = await somebody().admins.registerAdmin();
    await outcomesOf(email, 1);
    for (let i = 0; i < 6; i++) {
      t.is((await client.post('/auth/confirm/resend', { email })).status, 202);
      await outcomesOf(email, i + 2);
    }
    const outcomes = await outcomesOf(email, 7);
    t.deepEqual(outcomes, ['sent', 'sent', 'sent', ...Array<string>(4).fill('obsolete')]);
    const mails = await system.mailbox.mailsTo(email);
    t.is(mails.length, 3);
    const statuses: number[] = [];
    for (const token of mails.map(tokenIn))
      statuses.push((await client.post('/auth/confirm', { token, password })).status);
    t.deepEqual(statuses, [400, 400, 200]);
  },
);

test.serial(
  'the owner of a confirmed address is mailed at most once a day, however often somebody registers it',
  async (t) => {
    const { admins } = somebody();
    const owner = await admins.confirmedAdmin();
    const { email } = owner;
    for (let i = 0; i < 3; i++) {
      await admins.registerAdmin({ email });
      await outcomesOf(email, i + 2);
    }
    t.deepEqual(await outcomesOf(email, 4), ['sent', 'sent', 'obsolete', 'obsolete']);
    const subjects = (await system.mailbox.mailsTo(email)).map(({ subject }) => subject);
    t.deepEqual(subjects.toSorted(), [
      'Confirm your e-mail address',
      'You already have an account',
    ]);
  },
);

test.serial('a link that has expired is like any that never was, and a resend helps', async (t) => {
  const { mailbox } = system;
  const { admins } = somebody();
  const client = clientAt('192.0.2.4');
  const { email, password } = await admins.registerAdmin();
  const token = tokenIn(await mailbox.waitForMail(email));
  await context.rows(
    `update confirmations set expires_at = now() - interval '1 second' where email = $1`,
    [email],
  );
  const expired = await client.post<{ code: string }>('/auth/confirm', { token, password });
  t.deepEqual([expired.status, expired.body.code], [400, 'invalid_token']);
  t.is((await client.get(`/auth/confirm?token=${token}`)).status, 400, 'the page says so at once');
  await client.post('/auth/confirm/resend', { email });
  const next = await eventually(async () =>
    (await mailbox.mailsTo(email)).map(tokenIn).find((each) => each !== token),
  );
  t.is((await client.post('/auth/confirm', { token: next, password })).status, 200);
});
