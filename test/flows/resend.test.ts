import test from 'ava';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useApi, useSystem } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { tokenIn, type Mail } from '../helpers/mailbox.js';

const context = useContext();
const system = useSystem(context);
/** Its limits are those of production; behind a proxy, so that each test can be another client. */
const strict = useApi(context, { env: { RATE_LIMIT_SCALE: '1', TRUST_PROXY: '1' } });
const strictClient = (ip: string): ApiClient =>
  createClient(strict.process.url, { 'x-forwarded-for': ip });

test.serial(
  'POST /auth/confirm/resend: unknown, pending and confirmed addresses get the same bytes',
  async (t) => {
    const { admins, client } = system;
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

test.serial('a pending admin gets a new link, and only the newest works', async (t) => {
  const { admins, client, mailbox } = system;
  const applicant = await admins.registerAdmin();
  const first = tokenIn(await mailbox.waitForMail(applicant.email));
  await client.post('/auth/confirm/resend', { email: applicant.email });
  const second = await eventually(async () =>
    (await mailbox.mailsTo(applicant.email)).map(tokenIn).find((token) => token !== first),
  );
  t.is((await client.post('/auth/confirm', { token: first })).status, 400);
  t.is((await client.post('/auth/confirm', { token: second })).status, 200);
  t.is((await admins.logIn(applicant)).admin.email, applicant.email);
});

test.serial(
  'whoever asks again gets a link for each registration, and none brings another one’s password into force',
  async (t) => {
    const { admins, client, mailbox } = system;
    for (const followed of [0, 1]) {
      const owner = await admins.registerAdmin();
      const stranger = await admins.registerAdmin({ email: owner.email });
      const both = [owner, stranger];
      const mailsOf = async (name: string): Promise<Mail[]> =>
        (await mailbox.mailsTo(owner.email)).filter(({ text }) => text.includes(name));
      const first = await eventually(async () => {
        const found = await Promise.all(both.map(({ name }) => mailsOf(name)));
        return found.every((mails) => mails.length === 1) && found.flat().map(tokenIn);
      });
      await client.post('/auth/confirm/resend', { email: owner.email });
      const second = await eventually(async () => {
        const found = await Promise.all(both.map(({ name }) => mailsOf(name)));
        return found.every((mails) => mails.length === 2) && found.map(newestTokenBut(first));
      });
      for (const token of first) t.is((await client.post('/auth/confirm', { token })).status, 400);

      const [inForce, other] = [both[followed], both[1 - followed]];
      const token = second[followed];
      t.is((await client.post('/auth/confirm', { token })).status, 200);
      t.is((await admins.logIn(inForce ?? owner)).admin.name, inForce?.name ?? '');
      const wrong = { email: owner.email, password: other?.password };
      t.is((await client.post('/auth/login', wrong)).status, 401);
    }
  },
);

test.serial(
  'a registration past the cap on links is none: nothing of it comes into force later',
  async (t) => {
    const client = strictClient('203.0.113.3');
    const owner = await system.admins.registerAdmin();
    const late = [1, 2, 3].map(() => system.admins.applicant({ email: owner.email }));
    for (const each of late) t.is((await client.post('/auth/register', each)).status, 202);
    const names = await context.rows<{ name: string }>(
      'select name from confirmations where email = $1 order by id',
      [owner.email],
    );
    const counted = [owner, ...late.slice(0, 2)];
    t.deepEqual(
      names.map(({ name }) => name),
      counted.map(({ name }) => name),
    );
    const answer = await client.post('/auth/login', {
      email: owner.email,
      password: late[2]?.password,
    });
    t.is(answer.status, 401);
  },
);

test.serial('nobody but a pending admin is mailed anything', async (t) => {
  const { admins, client } = system;
  const confirmed = await admins.confirmedAdmin();
  const promised = () => context.rows('select count(*) from outbox');
  const before = await promised();
  await client.post('/auth/confirm/resend', { email: confirmed.email });
  await client.post('/auth/confirm/resend', { email: admins.applicant().email });
  t.deepEqual(await promised(), before);
});

test.serial(
  'at most three links an hour go to one address, and the answer does not tell',
  async (t) => {
    const client = strictClient('203.0.113.1');
    const applicant = await system.admins.registerAdmin();
    for (let i = 0; i < 6; i++) {
      t.is((await client.post('/auth/confirm/resend', { email: applicant.email })).status, 202);
    }
    const links = await context.rows('select id from confirmations where email = $1', [
      applicant.email,
    ]);
    t.is(links.length, 3);
  },
);

test.serial('past the cap the newest link that was sent still works', async (t) => {
  const client = strictClient('203.0.113.2');
  const applicant = await system.admins.registerAdmin();
  for (let i = 0; i < 4; i++) await client.post('/auth/confirm/resend', { email: applicant.email });
  await eventually(async () => {
    const [row] = await context.rows<{ n: number }>(
      `select count(*)::int as n from outbox o join admins a on a.id = o.admin_id where a.email = $1 and o.state = 'settled'`,
      [applicant.email],
    );
    return row?.n === 3;
  });
  const statuses: number[] = [];
  for (const mail of await system.mailbox.mailsTo(applicant.email)) {
    statuses.push((await client.post('/auth/confirm', { token: tokenIn(mail) })).status);
  }
  t.is(statuses.filter((status) => status === 200).length, 1, statuses.join());
});

test.serial('a link that has expired is like any that never was, and a resend helps', async (t) => {
  const { admins, client, mailbox } = system;
  const applicant = await admins.registerAdmin();
  const token = tokenIn(await mailbox.waitForMail(applicant.email));
  await context.rows(
    `update confirmations set expires_at = now() - interval '1 second' where email = $1`,
    [applicant.email],
  );
  const expired = await client.post<{ code: string }>('/auth/confirm', { token });
  t.deepEqual([expired.status, expired.body.code], [400, 'invalid_token']);
  await client.post('/auth/confirm/resend', { email: applicant.email });
  const next = await eventually(async () =>
    (await mailbox.mailsTo(applicant.email)).map(tokenIn).find((each) => each !== token),
  );
  t.is((await client.post('/auth/confirm', { token: next })).status, 200);
});

const newestTokenBut =
  (old: readonly string[]) =>
  (mails: readonly Mail[]): string | undefined =>
    mails.map(tokenIn).find((token) => !old.includes(token));
