import test from 'ava';
import { createAdmins } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createMailbox } from '../../helpers/mailbox.js';
import { runApi, runWorker } from '../../helpers/servers.js';
import { openSmtpServer, type SmtpAnswer } from '../../helpers/smtp-server.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

shareProcess();

const context = useContext();

async function openApi(scope: Scope) {
  const client = createClient((await runApi(context, { scope })).url);
  return { client, admins: createAdmins(context, client) };
}

for (const how of ['refuse', 'silence'] as const) {
  test.serial(
    `the mail server down (${how}): the mail is tried again and goes out when it is back`,
    async (t) => {
      const { host, port } = context.stack.mail;
      const proxy = await openTcpProxy(t, `smtp://${host}:${port}`);
      await proxy[how]();
      const { admins } = await openApi(t);
      await runWorker(context, {
        scope: t,
        env: { MAIL_HOST: '127.0.0.1', MAIL_PORT: String(proxy.port) },
      });
      const { email } = await admins.registerAdmin();
      await eventually(
        async () => (await deliveriesTo(email)).some(({ outcome }) => outcome === 'deferred'),
        {
          withinMs: 40_000,
        },
      );
      await proxy.restore();
      const mailbox = createMailbox(context.stack);
      await mailbox.waitForMail(email);
      const deliveries = await eventually(async () => {
        const found = await deliveriesTo(email);
        return found.some(({ outcome }) => outcome === 'sent') && found;
      });
      t.is(deliveries.filter(({ outcome }) => outcome === 'sent').length, 1);
      t.is((await mailbox.mailsTo(email)).length, 1);
    },
  );
}

for (const [what, refusal] of Object.entries<SmtpAnswer>({
  'a temporary refusal': { code: 451, text: '4.3.0 try again later' },
  'a connection that is cut in place of an answer': 'cut',
})) {
  test.serial(
    `${what} delays the mail; the second try succeeds, and both are on record`,
    async (t) => {
      const smtp = await openSmtpServer(t, {
        onMail: (_mail, count) => (count === 1 ? refusal : 'take'),
      });
      const { admins } = await openApi(t);
      await runWorker(context, { scope: t, env: smtp.env });
      const { email } = await admins.registerAdmin();
      await eventually(async () => (await stateOf(email)) === 'settled');
      t.is(smtp.taken.filter(({ to }) => to.includes(email)).length, 1);
      t.deepEqual(
        (await deliveriesTo(email)).map(({ outcome }) => outcome),
        ['deferred', 'sent'],
      );
    },
  );
}

test.serial(
  'a permanent refusal buries the message with its reason, and the API still answers the same',
  async (t) => {
    const smtp = await openSmtpServer(t, {
      onRecipient: () => ({ code: 550, text: '5.1.1 no such user' }),
    });
    const { admins, client } = await openApi(t);
    const worker = await runWorker(context, { scope: t, env: smtp.env });
    const { email } = await admins.registerAdmin();
    await eventually(async () => (await stateOf(email)) === 'dead');
    const [delivery] = await deliveriesTo(email);
    t.is(delivery?.outcome, 'refused');
    t.regex(delivery?.response ?? '', /550/);
    t.false(delivery?.response.includes(email));
    t.is(smtp.received.length, 0);
    const line = await worker.waitForLine((each) => each['message'] === 'job failed permanently');
    t.is(line['log.level'], 'error');
    t.is((await client.post('/auth/confirm/resend', { email })).status, 202);
  },
);

test.serial('one refused mail does not hold up the others', async (t) => {
  const { admins } = await openApi(t);
  const { email: refused } = admins.applicant();
  const smtp = await openSmtpServer(t, {
    onRecipient: (address) =>
      address === refused ? { code: 451, text: '4.7.1 greylisted' } : 'take',
  });
  await runWorker(context, { scope: t, env: smtp.env });
  await admins.registerAdmin({ email: refused });
  for (let i = 0; i < 5; i++) {
    const { email } = await admins.registerAdmin();
    await eventually(async () => (await stateOf(email)) === 'settled');
  }
  t.not(await stateOf(refused), 'settled');
  t.is(smtp.taken.length >= 5, true);
});

interface DeliveryRow {
  readonly outcome: string;
  readonly response: string;
}

const deliveriesTo = (email: string): Promise<DeliveryRow[]> =>
  context.rows<DeliveryRow>(
    `select d.outcome, d.response from deliveries d join outbox o on o.id = d.outbox_id
      where o.recipient = $1 order by d.id`,
    [email],
  );

async function stateOf(email: string): Promise<string | undefined> {
  const [row] = await context.rows<{ state: string }>(
    `select o.state from outbox o where o.recipient = $1 order by o.created_at limit 1`,
    [email],
  );
  return row?.state;
}
