import test from 'ava';
import type { Answer } from '../helpers/api-client.js';
import { useSystem } from '../helpers/api.js';
import { useSharedContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { tokenIn } from '../helpers/mailbox.js';
import { mailOutcomes } from '../helpers/outbox.js';

const context = useSharedContext('system');
const system = useSystem(context);

const CONFIRM = /confirm/i;

const outcomesOf = async (email: string, count: number): Promise<string[]> =>
  (await mailOutcomes(context, email, count)).map(({ outcome }) => outcome);

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
    t.is((await admins.logIn(owner)).admin.id, owner.id, 'the old password still holds');
  },
);

test.serial(
  'one link serves every registration of the address: the password that is entered picks one, and the others are worth nothing',
  async (t) => {
    const { admins, client, mailbox } = system;
    for (const picked of [0, 1]) {
      const first = await admins.registerAdmin();
      const { email } = first;
      await outcomesOf(email, 1);
      const registrations = [first, await admins.registerAdmin({ email })];
      await outcomesOf(email, 2);
      const links = (await mailbox.mailsTo(email)).map(tokenIn);
      t.is(links.length, 2);
      const [inForce = first, other = first] =
        picked === 0 ? registrations : registrations.toReversed();
      const confirm = async (token: string, password: string): Promise<number> =>
        (await client.post('/auth/confirm', { token, password })).status;
      // The newer mail has voided the link of the older one.
      const statuses: number[] = [];
      for (const token of links) statuses.push(await confirm(token, inForce.password));
      t.deepEqual(statuses, [400, 200]);
      const open = links[statuses.indexOf(200)] ?? '';
      t.is(await confirm(open, other.password), 403);
      t.is((await admins.logIn(inForce)).admin.name, inForce.name);
      const refused = await client.post('/auth/login', { email, password: other.password });
      t.is(refused.status, 401);
    }
  },
);

test.serial(
  'fifty presses of one button make one mail; another password makes its own',
  async (t) => {
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
    const outcomes = await outcomesOf(email, taken.length);
    t.is(outcomes.filter((outcome) => outcome === 'sent').length, 1);
    t.is(outcomes.filter((outcome) => outcome === 'obsolete').length, taken.length - 1);
    const mails = async (): Promise<number> =>
      (await mailbox.mailsTo(email)).length + (await mailbox.mailsTo(mailedForm(email))).length;
    t.is(await mails(), 1);

    await admins.registerAdmin({ ...applicant, password: `${applicant.password} II` });
    await outcomesOf(email, taken.length + 1);
    t.is(await mails(), 2);
  },
);

test.serial(
  'the same registration again has a mail of its own once the first one’s link works no more',
  async (t) => {
    const { admins } = system;
    const applicant = await admins.registerAdmin();
    const { email } = applicant;
    await mailOutcomes(context, email, 1);
    await context.rows('update confirmations set expires_at = now() where email = $1', [email]);
    await admins.registerAdmin(applicant);
    const outcomes = await mailOutcomes(context, email, 2);
    t.deepEqual(
      outcomes.map(({ outcome }) => outcome),
      ['sent', 'sent'],
    );
  },
);

test.serial('an address keeps its newest five registrations', async (t) => {
  const { admins } = system;
  const { email } = await admins.registerAdmin();
  const names: string[] = [];
  for (let i = 0; i < 6; i += 1) names.push((await admins.registerAdmin({ email })).name);
  const kept = await context.rows<{ name: string }>(
    'select name from registrations where email = $1 order by id',
    [email],
  );
  t.deepEqual(
    kept.map(({ name }) => name),
    names.slice(-5),
  );
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
    const { password } = other;
    const first = { token: await token(one.email), password: one.password };
    t.is((await client.post('/auth/confirm', first)).status, 200);

    const otherToken = await token(other.email);
    const refused = await client.post<{ code: string }>('/auth/confirm', {
      token: otherToken,
      password,
    });
    t.deepEqual([refused.status, refused.body.code], [409, 'name_taken']);
    t.is(await adminRow(other.email), undefined);

    const accepted = await client.post('/auth/confirm', {
      token: otherToken,
      password,
      name: `${other.name} II`,
    });
    t.is(accepted.status, 200);
    t.is((await admins.logIn(other)).admin.name, `${other.name} II`);
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
