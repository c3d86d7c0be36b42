import test, { type ExecutionContext } from 'ava';
import { mintedToken, type Login, type TestAdmin } from '../helpers/admins.js';
import { createClient, servedAtLast, type Answer, type ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createMailbox, tokenIn, type Mail } from '../helpers/mailbox.js';
import type { Problem } from '../helpers/problem.js';
import { startWorker } from '../helpers/processes.js';
import { runWorker } from '../helpers/servers.js';
import { ageRotations } from '../helpers/rotations.js';

const context = useContext();
// Limits as in production, behind a proxy whose word counts: then many clients can be played here.
const env = { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' };
const api = useApi(context, { env });
const mailbox = createMailbox(context.stack);
const tokenFor = mintedToken(context);

/** Links of a kind within an hour, links in all, and notices of a kind. */
const OF_A_KIND = 3;
const LINKS = 6;
/** What is asked for at once, each time by another client: more than are sent. */
const REQUESTS = OF_A_KIND + 2;

test.serial(
  'S10 an address gets three links of a kind an hour, six in all, of many requests at once and two workers',
  async (t) => {
    const registered = context.uniqueAddress();
    const confirmed = await newAdmin();
    const answers = new Set<string>();
    const flood = async (path: string, email: string): Promise<void> => {
      const given = await Promise.all(
        Array.from({ length: REQUESTS }, () => {
          const applicant = api.admins.applicant({ email });
          const json = path === '/auth/register' ? applicant : { email };
          return servedAtLast(() => someone().post(path, json));
        }),
      );
      for (const { status, text } of given) answers.add(`${status} ${text}`);
    };
    for (const email of [registered, confirmed.email]) {
      for (const path of ['/auth/register', '/auth/confirm/resend', '/auth/password/forgot'])
        await flood(path, email);
    }
    t.deepEqual([...answers], ['202 {"status":"accepted"}']);
    await workOff(t, 2);
    t.deepEqual(await subjectsTo(registered), {
      'Confirm your e-mail address': OF_A_KIND,
      'Choose a password and confirm your address': OF_A_KIND,
    });
    t.deepEqual(await subjectsTo(confirmed.email), {
      'Choose a new password': OF_A_KIND,
      'You already have an account': 1,
    });

    await flood('/auth/confirm/resend', registered);
    await flood('/auth/password/forgot', confirmed.email);
    await workOff(t);
    t.is((await mailbox.mailsTo(registered)).length, LINKS, 'nor later within the hour');
    t.is((await mailbox.mailsTo(confirmed.email)).length, OF_A_KIND + 1);

    await letAnHourPass();
    await someone().post('/auth/confirm/resend', { email: registered });
    await workOff(t);
    t.is((await mailbox.mailsTo(registered)).length, LINKS + 1, 'then it goes on');
  },
);

test.serial(
  'S10 many accounts that want one address bring it six links an hour, and are told past them',
  async (t) => {
    const victim = context.uniqueAddress();
    const owner = await newAdmin();
    const ask = ({ client, password }: TestAdmin, email: string) =>
      client.put<Problem>('/auth/me', { email, current_password: password });
    for (const email of [victim, owner.email]) {
      const askers: TestAdmin[] = [];
      while (askers.length <= LINKS) askers.push(await newAdmin());
      const atOnce = await Promise.all(askers.map((asker) => ask(asker, email)));
      for (const { status } of atOnce) t.true([200, 429].includes(status));
    }
    const last = await newAdmin();
    const isTold = async (): Promise<void> => {
      for (const email of [victim, victim.toUpperCase(), owner.email]) {
        const { status, body, headers } = await ask(last, email);
        t.deepEqual([status, body.code], [429, 'too_many_attempts'], email);
        t.regex(headers.get('retry-after') ?? '', /^[1-9]\d*$/);
      }
    };
    await isTold();
    await workOff(t, 2);
    await isTold();
    t.deepEqual(await subjectsTo(victim), { 'Confirm your new e-mail address': LINKS });
    t.deepEqual(await subjectsTo(owner.email), { 'You already have an account': 1 });
    const [row] = await context.rows('select pending_email from admins where id = $1', [last.id]);
    t.deepEqual(row, { pending_email: null }, 'nothing has changed for who was told');
  },
);

test.serial(
  'S10 whoever has the password or a token can have its owner told no more than three times an hour',
  async (t) => {
    const admin = await newAdmin();
    for (let i = 0; i < OF_A_KIND + 2; i++) {
      const { email, password } = admin;
      const { body } = await someone().post<Login>('/auth/login', { email, password });
      const next = await refresh(body.refresh_token);
      await refresh(next.body.refresh_token);
      await ageRotations(context, admin.id, 11);
      t.is((await refresh(body.refresh_token)).status, 401, 'the session has ended');
    }
    let { password } = admin;
    for (let i = 0; i < OF_A_KIND + 2; i++) {
      const change = { password: `${admin.password} ${i}`, current_password: password };
      t.is((await admin.client.put('/auth/me', change)).status, 200);
      ({ password } = change);
    }
    await workOff(t, 2);
    t.deepEqual(await subjectsTo(admin.email), {
      'We have ended one of your sessions': OF_A_KIND,
      'Your password has been changed': OF_A_KIND,
    });
  },
);

test.serial(
  'S82 strangers who use up the links of an address silence nobody: the links that came serve whoever registers last',
  async (t) => {
    const { email } = api.admins.applicant();
    for (let i = 0; i < REQUESTS; i++)
      await someone().post('/auth/register', api.admins.applicant({ email }));
    await workOff(t);
    const owner = api.admins.applicant({ email });
    await someone().post('/auth/register', owner);
    await workOff(t);
    const mails = await mailbox.mailsTo(email);
    t.is(mails.length, OF_A_KIND);
    // They sort by time, and mails may come in any order.
    const tokens = mails.map(tokenIn).toSorted();
    const confirm = (token: string) =>
      someone().post('/auth/confirm', { token, password: owner.password });
    t.deepEqual(await Promise.all(tokens.map(async (token) => (await confirm(token)).status)), [
      ...tokens.slice(1).map(() => 400),
      200,
    ]);
    t.is((await api.admins.logIn(owner)).admin.name, owner.name);
  },
);

let clients = 0;
/** A client in a network of its own. */
const someone = (): ApiClient => {
  clients += 1;
  const ip = `10.${clients >> 8}.${clients & 255}.1`;
  return createClient(api.server.url, { 'x-forwarded-for': ip });
};

/** A confirmed admin without a single mail: nobody limits how many there are. */
async function newAdmin(): Promise<TestAdmin> {
  const applicant = api.admins.applicant();
  const { email, password } = applicant;
  await someone().post('/auth/register', applicant);
  await someone().post('/auth/confirm', { token: await tokenFor(email), password });
  const { body: login } = await someone().post<Login>('/auth/login', { email, password });
  const { id } = login.admin;
  return { ...applicant, id, login, client: someone().as(login.access_token) };
}

const refresh = (token: string): Promise<Answer<Login>> =>
  someone().post('/auth/refresh', { refresh_token: token });

/** One worker, or two side by side, until every message is settled. */
async function workOff(t: ExecutionContext, count: 1 | 2 = 1): Promise<void> {
  const starts = [runWorker, startWorker].slice(0, count);
  const workers = await Promise.all(starts.map((start) => start(context, { scope: t, env })));
  await eventually(
    async () => (await context.rows(`select from outbox where state <> 'settled'`)).length === 0,
    { of: 'every message being settled', withinMs: 200_000 },
  );
  for (const worker of workers) await worker.stop();
}

const letAnHourPass = (): Promise<object[]> =>
  context.rows(`update outbox set created_at = created_at - interval '61 minutes'`);

/** How many mails of each subject have come. */
async function subjectsTo(email: string): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  const mails: readonly Mail[] = await mailbox.mailsTo(email);
  for (const { subject } of mails) counts[subject] = (counts[subject] ?? 0) + 1;
  return counts;
}
