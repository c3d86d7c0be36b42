import test, { type ExecutionContext } from 'ava';
import { mintedToken } from '../helpers/admins.js';
import { useApiProcess } from '../helpers/api.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createMailbox, tokenIn } from '../helpers/mailbox.js';
import { runWorker } from '../helpers/servers.js';
import { dumpRedis } from '../helpers/redis.js';
import { openSmtpServer } from '../helpers/smtp-server.js';

shareProcess();

const context = useContext();
const api = useApiProcess(context);
const mailbox = createMailbox(context.stack);

const TOKENS = 100;
/** As many as even a slow machine hashes without refusing any. */
const AT_ONCE = 5;
const SECRET_LENGTH = 43;

test.serial(
  'S03 mailed tokens are unpredictable, and each of their characters counts',
  async (t) => {
    await runWorker(context, { scope: t });
    const { password } = api.admins.applicant();
    const emails = Array.from({ length: TOKENS }, () => api.admins.applicant().email);
    for (let at = 0; at < TOKENS; at += AT_ONCE) {
      await Promise.all(
        emails
          .slice(at, at + AT_ONCE)
          .map((email) => api.admins.registerAdmin({ email, password })),
      );
    }
    await eventually(allSettled, { of: 'every mail being sent' });
    const tokens: string[] = [];
    for (const email of emails) tokens.push(tokenIn(await mailbox.waitForMail(email)));

    t.is(new Set(tokens).size, TOKENS);
    const secrets = tokens.map((token) => /^ct_[0-9a-f]{32}_([A-Za-z0-9_-]+)$/.exec(token)?.[1]);
    for (const secret of secrets) t.is(secret?.length, SECRET_LENGTH);
    for (let place = 0; place < SECRET_LENGTH; place++) {
      // 100 random characters of 64: fewer than 8 different ones are not to be expected in this universe.
      t.true(new Set(secrets.map((secret) => secret?.[place])).size >= 8, `place ${place}`);
    }

    const [token = ''] = tokens;
    for (let place = 0; place < token.length; place++) {
      const wrong = withOtherCharacter(token, place);
      const { status } = await api.client.post('/auth/confirm', { token: wrong, password });
      t.is(status, 400, `place ${place}`);
    }
    t.is((await api.client.post('/auth/confirm', { token, password })).status, 200);
  },
);

test.serial('S04 no store ever holds a token, whatever has become of its mail', async (t) => {
  // Nobody works yet: the job waits.
  const { email } = await api.admins.registerAdmin();
  const token = await mintedToken(context)(email);
  await eventually(async () => (await dumpRedis(context.redisUrl)).includes('{mail}'));
  await holdNowhere(t, token, 'waiting');

  let answer = { code: 451, text: '4.3.0 try again later' };
  const refusing = await openSmtpServer(t, { onRecipient: () => answer });
  const worker = await runWorker(context, { scope: t, env: refusing.env });
  await eventually(() => hasDelivery(email, 'deferred'));
  await holdNowhere(t, token, 'delayed');

  answer = { code: 550, text: '5.1.1 no such user' };
  await eventually(() => hasDelivery(email, 'refused'));
  await holdNowhere(t, token, 'failed');
  await worker.stop();

  await runWorker(context, { scope: t });
  const { email: reached, password } = await api.admins.registerAdmin();
  const sent = tokenIn(await mailbox.waitForMail(reached));
  await eventually(() => hasDelivery(reached, 'sent'));
  await holdNowhere(t, sent, 'completed');
  t.is((await api.client.post('/auth/confirm', { token: sent, password })).status, 200);
  await holdNowhere(t, sent, 'used');
});

/** The neighbour in the token's own alphabet; of the last character it differs in the last bit alone. */
function withOtherCharacter(token: string, place: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const at = alphabet.indexOf(token[place] ?? '');
  return token.slice(0, place) + (alphabet[at ^ 1] ?? '') + token.slice(place + 1);
}

async function holdNowhere(t: ExecutionContext, token: string, when: string): Promise<void> {
  const secret = token.slice(-SECRET_LENGTH);
  const bytes = Buffer.from(secret, 'base64url');
  const forms = [secret, bytes.toString('hex'), bytes.toString('base64')];
  const stores = {
    PostgreSQL: await dumpTables(),
    Redis: await dumpRedis(context.redisUrl),
    'the log': api.server.stdout() + api.server.stderr(),
  };
  for (const [name, text] of Object.entries(stores)) {
    t.true(text.length > 100, `${name} holds nothing at all, ${when}`);
    for (const form of forms) t.false(text.includes(form), `${name}, ${when}`);
  }
}

/** Every row of every table as text; bytes are in hexadecimal. */
async function dumpTables(): Promise<string> {
  const tables = await context.rows<{ name: string }>(
    `select format('%I', tablename) as name from pg_tables where schemaname = 'public'`,
  );
  const texts = tables.map(async ({ name }) => {
    const rows = await context.rows<{ text: string }>(`select ${name}::text as text from ${name}`);
    return [name, ...rows.map(({ text }) => text)].join('\n');
  });
  return (await Promise.all(texts)).join('\n');
}

const allSettled = async (): Promise<boolean> =>
  (await context.rows(`select from outbox where state <> 'settled'`)).length === 0;

const hasDelivery = async (email: string, outcome: string): Promise<boolean> =>
  (
    await context.rows(
      `select from deliveries d join outbox o on o.id = d.outbox_id
        where o.recipient = $1 and d.outcome = $2`,
      [email, outcome],
    )
  ).length > 0;
