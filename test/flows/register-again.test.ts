import test from 'ava';
import { createAdmins } from '../helpers/admins.js';
import { createClient, type Answer } from '../helpers/api-client.js';
import { useSystem } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { tokenIn } from '../helpers/mailbox.js';
import { startApi } from '../helpers/processes.js';

const context = useContext();
const system = useSystem(context);

const CONFIRM = /confirm/i;

test.serial(
  'new, pending and confirmed addresses get the same bytes and the same headers',
  async (t) => {
    const { admins, client } = system;
    const confirmed = await admins.confirmedAdmin();
    const pending = await admins.registerAdmin();
    const ask = (email: string): Promise<Answer> =>
      client.post('/auth/register', admins.applicant({ email }));
    const answers = [
      await ask(admins.applicant().email),
      await ask(pending.email),
      await ask(confirmed.email),
    ];
    const [first] = answers;
    for (const answer of answers) {
      t.is(answer.status, 202);
      t.is(answer.text, first?.text ?? '');
      t.deepEqual(comparable(answer), comparable(first));
    }
  },
);

test.serial(
  'the owner of a confirmed address is told by mail; nothing of the account changes',
  async (t) => {
    const { admins, client, mailbox } = system;
    const owner = await admins.confirmedAdmin();
    const before = await adminRow(owner.email);
    const answer = await client.post(
      '/auth/register',
      admins.applicant({ email: owner.email.toUpperCase() }),
    );
    t.is(answer.status, 202);

    const mail = await eventually(async () =>
      (await mailbox.mailsTo(owner.email)).find(({ subject }) => !CONFIRM.test(subject)),
    );
    t.throws(() => tokenIn(mail), undefined, 'a notice holds no link that does anything');
    t.deepEqual(await adminRow(owner.email), before);
    t.deepEqual(
      await context.rows(
        'select id from confirmations where admin_id = $1 and confirmed_at is null',
        [owner.id],
      ),
      [],
    );
    t.is((await admins.logIn(owner)).admin.id, owner.id, 'the old password still holds');
  },
);

test.serial(
  'a stranger who registers a pending address does not get the owner to confirm the stranger’s password',
  async (t) => {
    const { admins, client, mailbox } = system;
    const owner = await admins.registerAdmin();
    const token = tokenIn(await mailbox.waitForMail(owner.email, { subject: CONFIRM }));
    // The stranger knows the address, and cannot read its mail.
    const stranger = await admins.registerAdmin({ email: owner.email });
    // The owner follows the link that they asked for themselves.
    await client.post('/auth/confirm', { token });
    const { status } = await client.post('/auth/login', {
      email: owner.email,
      password: stranger.password,
    });
    t.is(status, 401);
  },
);

test.serial(
  'each registration has its own link; the first that is followed voids the other',
  async (t) => {
    const { admins, client, mailbox } = system;
    for (const followed of [0, 1]) {
      const first = await admins.registerAdmin();
      const registrations = [first, await admins.registerAdmin({ email: first.email })];
      const mails = await eventually(async () => {
        const found = await mailbox.mailsTo(first.email);
        return found.length === 2 && found;
      });
      // Each mail shows the name that it is about.
      const tokens = registrations.map(({ name }) =>
        tokenIn(mails.find(({ text }) => text.includes(name)) ?? { subject: name, text: '' }),
      );
      const confirm = async (which: number): Promise<number> =>
        (await client.post('/auth/confirm', { token: tokens[which] })).status;
      t.is(await confirm(followed), 200);
      t.is(await confirm(1 - followed), 400);
      const [inForce, other] = [registrations[followed], registrations[1 - followed]];
      t.is((await admins.logIn(inForce ?? first)).admin.name, inForce?.name ?? '');
      const { status } = await client.post('/auth/login', {
        email: first.email,
        password: other?.password,
      });
      t.is(status, 401);
    }
  },
);

test.serial(
  'a stranger who registers under the owner’s very name is not taken for the owner pressing twice',
  async (t) => {
    const { admins, client, mailbox } = system;
    const stranger = await admins.registerAdmin();
    const owner = await admins.registerAdmin({ email: stranger.email, name: stranger.name });
    await admins.registerAdmin(owner);
    const mails = await eventually(async () => {
      const found = await mailbox.mailsTo(owner.email);
      return found.length >= 2 && found;
    });
    t.is(mails.length, 2, 'one for each of them, though the owner has pressed twice');
    // Whatever link is followed, it is the one of somebody who chose that password.
    const [token] = mails.map(tokenIn);
    t.is((await client.post('/auth/confirm', { token })).status, 200);
    const statuses = await Promise.all(
      [stranger, owner].map(async ({ email, password }) => {
        const { status } = await client.post('/auth/login', { email, password });
        return status;
      }),
    );
    t.deepEqual(new Set(statuses), new Set([200, 401]));
  },
);

test.serial('fifty presses of one button make one admin and one mail', async (t) => {
  const { admins, client, mailbox } = system;
  const applicant = admins.applicant();
  const { email } = applicant;
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      client.post('/auth/register', {
        ...applicant,
        email: i % 2 === 0 ? email : email.toUpperCase(),
      }),
    ),
  );
  // A machine that is too busy for all of them says so to some.
  const taken = answers.filter(({ status }) => status !== 503);
  t.true(taken.length > 0);
  t.deepEqual(new Set(taken.map(({ text }) => text)), new Set(['{"status":"accepted"}']));
  const rows = await context.rows('select id from admins where email_canonical = $1', [email]);
  t.is(rows.length, 1);
  const messages = await context.rows('select id from outbox where admin_id = $1', [
    rows[0]?.['id'],
  ]);
  t.is(messages.length, 1);
  await eventually(async () => {
    const mails = [
      ...(await mailbox.mailsTo(email)),
      ...(await mailbox.mailsTo(mailedForm(email))),
    ];
    return mails.length === 1;
  });
});

test.serial('a name is taken only by a confirmed admin, in any case and spacing', async (t) => {
  const { admins, client } = system;
  const holder = await admins.confirmedAdmin({ name: `Ann Nameholder ${context.id}` });
  for (const name of [
    holder.name,
    holder.name.toUpperCase(),
    ` ${holder.name.replace(' ', '   ')} `,
  ]) {
    const answer = await client.post<{ code: string }>(
      '/auth/register',
      admins.applicant({ name }),
    );
    t.deepEqual([answer.status, answer.body.code], [409, 'name_taken'], name);
  }
  const pending = await admins.registerAdmin();
  t.is((await client.post('/auth/register', admins.applicant({ name: pending.name }))).status, 202);
});

test.serial(
  'of two pending admins with one name the first to confirm has it; the other takes another',
  async (t) => {
    const { admins, client, mailbox } = system;
    const one = await admins.registerAdmin();
    const other = await admins.registerAdmin({ name: one.name.toUpperCase() });
    const token = async (email: string): Promise<string> =>
      tokenIn(await mailbox.waitForMail(email, { subject: CONFIRM }));
    t.is((await client.post('/auth/confirm', { token: await token(one.email) })).status, 200);

    const otherToken = await token(other.email);
    const refused = await client.post<{ code: string }>('/auth/confirm', { token: otherToken });
    t.deepEqual([refused.status, refused.body.code], [409, 'name_taken']);
    t.is((await adminRow(other.email))?.['confirmed_at'], null);

    const accepted = await client.post('/auth/confirm', {
      token: otherToken,
      name: `${other.name} II`,
    });
    t.is(accepted.status, 200);
    t.is((await admins.logIn(other)).admin.name, `${other.name} II`);
  },
);

test.serial(
  'the owner of one address is mailed at most once a day, however often somebody registers it',
  async (t) => {
    const { url } = await startApi(context, {
      scope: t,
      env: { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' },
    });
    const strict = createAdmins(context, createClient(url, { 'x-forwarded-for': '203.0.113.7' }));
    const owner = await system.admins.confirmedAdmin();
    for (let i = 0; i < 3; i++) await strict.registerAdmin({ email: owner.email });
    const rows = await context.rows(
      `select id from outbox where admin_id = $1 and name = 'send-account-exists-mail'`,
      [owner.id],
    );
    t.is(rows.length, 1);
  },
);

const adminRow = async (email: string): Promise<Record<string, unknown> | undefined> =>
  (await context.rows('select * from admins where email_canonical = lower($1)', [email]))[0];

/** An answer's headers without those that name the moment and the request. */
function comparable(answer: Answer | undefined): [string, string][] {
  const varying = new Set(['date', 'x-request-id', 'ratelimit-remaining', 'ratelimit-reset']);
  return [...(answer?.headers ?? [])].filter(([name]) => !varying.has(name));
}

/** An address as it is mailed to when it was typed in capitals: the domain is always in lower case. */
const mailedForm = (email: string): string =>
  email.replace(/^[^@]+/, (local) => local.toUpperCase());
