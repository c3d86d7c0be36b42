import test from 'ava';
import { Redis } from 'ioredis';
import { createAdmins, type Applicant } from '../helpers/admins.js';
import { createClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createMailbox } from '../helpers/mailbox.js';
import { startApi, startWorker, type ServerProcess } from '../helpers/processes.js';
import { runApi, runWorker, type RunningServer } from '../helpers/servers.js';
import { openSmtpServer } from '../helpers/smtp-server.js';

const context = useContext();
const mailbox = createMailbox(context.stack);

const KILLED = { code: null, signal: 'SIGKILL' } as const;

// What is killed is a process of its own; what must survive runs here.
let survivingApi: RunningServer;
test.serial.before('start the API', async () => {
  survivingApi = await runApi(context);
});

for (const failpoint of ['after-commit', 'after-add'] as const) {
  test.serial(
    `API killed ${failpoint}: the registration is committed, so the mail goes out, once`,
    async (t) => {
      const api = await startApi(context, { scope: t, env: { FAILPOINT: failpoint } });
      const applicant = await registerAndDie(api);
      t.deepEqual(await api.waitForExit(), KILLED);
      const [message] = await messagesTo(applicant);
      t.is(message?.state, 'pending');

      await runWorker(context, { scope: t });
      await mailbox.waitForMail(applicant.email);
      await settled(applicant);
      t.is((await mailbox.mailsTo(applicant.email)).length, 1);
    },
  );
}

test.serial(
  'relay killed after-add: its messages are relayed again, and each mail goes out once',
  async (t) => {
    const api = await startApi(context, { scope: t, env: { FAILPOINT: 'after-commit' } });
    const applicant = await registerAndDie(api);
    t.deepEqual(await api.waitForExit(), KILLED);
    const relay = await startWorker(context, {
      scope: t,
      env: { WORKER_ROLES: 'relay', FAILPOINT: 'after-add' },
    });
    t.deepEqual(await relay.waitForExit(), KILLED);
    t.is((await messagesTo(applicant))[0]?.state, 'pending');

    await runWorker(context, { scope: t });
    await settled(applicant);
    t.is((await mailbox.mailsTo(applicant.email)).length, 1);
  },
);

test.serial(
  'worker killed after-250: the mail has gone out, and goes out again rather than never',
  async (t) => {
    const applicant = await registerWithoutWorker();
    const smtp = await openSmtpServer(t);
    const doomed = await startWorker(context, {
      scope: t,
      env: { ...smtp.env, FAILPOINT: 'after-250' },
    });
    t.deepEqual(await doomed.waitForExit(), KILLED);
    t.is(mailsTaken(smtp, applicant), 1);
    const [message] = await messagesTo(applicant);
    t.is(message?.state, 'enqueued');

    await letClaimsRunOut();
    await runWorker(context, { scope: t, env: smtp.env });
    await settled(applicant);
    t.is(mailsTaken(smtp, applicant), 2, 'at least once; the double is the price');
    const outcomes = (
      await context.rows<{ outcome: string | null }>(
        'select outcome from deliveries where outbox_id = $1 order by id',
        [message?.id],
      )
    ).map(({ outcome }) => outcome);
    t.deepEqual(outcomes, [null, 'sent'], 'the try that was cut short is on record');
    const links = smtp.taken.map(
      ({ source }) => /token=3D([^\s"]+)|token=([^\s"]+)/.exec(source.replaceAll('=\r\n', ''))?.[0],
    );
    t.is(new Set(links).size, 1, 'both mails hold the same link');
  },
);

test.serial('worker killed after-marker: the mail goes out exactly once', async (t) => {
  const applicant = await registerWithoutWorker();
  const smtp = await openSmtpServer(t);
  const doomed = await startWorker(context, {
    scope: t,
    env: { ...smtp.env, FAILPOINT: 'after-marker' },
  });
  t.deepEqual(await doomed.waitForExit(), KILLED);
  t.is((await messagesTo(applicant))[0]?.state, 'settled');

  await letClaimsRunOut();
  const heir = await runWorker(context, { scope: t, env: smtp.env });
  const line = await heir.waitForLine((each) => each['labels.result'] === 'already', {
    of: 'the job coming back',
  });
  t.is(line['labels.queue'], 'mail');
  t.is(mailsTaken(smtp, applicant), 1);
});

test.serial(
  'worker killed in the middle of a mail: another one sends it, in its own time',
  async (t) => {
    const applicant = await registerWithoutWorker();
    const smtp = await openSmtpServer(t, {
      onMail: (_mail, count) => (count === 1 ? 'hang' : 'take'),
    });
    const doomed = await startWorker(context, { scope: t, env: smtp.env });
    await eventually(() => smtp.received.length === 1);
    t.deepEqual(await doomed.kill(), KILLED);

    // Nothing is hurried here: locks and claims run out by themselves.
    await runWorker(context, { scope: t, env: smtp.env });
    await settled(applicant, 110_000);
    t.is(mailsTaken(smtp, applicant), 1);
  },
);

test.serial(
  'SIGTERM ends both processes with 0 and takes back nothing that was answered',
  async (t) => {
    const api = await startApi(context, { scope: t });
    const worker = await startWorker(context, { scope: t });
    const applicant = await createAdmins(context, createClient(api.url)).registerAdmin();
    await Promise.all([api.stop(), worker.stop()]);
    for (const process of [api, worker]) {
      const messages = process.logLines().map((line) => line['message']);
      t.true(messages.includes('shutdown started'));
      t.false(
        messages.includes('shutdown deadline exceeded') ||
          messages.includes('resource release failed'),
      );
    }
    await runWorker(context, { scope: t });
    t.truthy(await mailbox.waitForMail(applicant.email));
  },
);

/** The answer may come or not: the process dies around that time. */
async function registerAndDie(api: ServerProcess): Promise<Applicant> {
  const applicant = createAdmins(context, createClient(api.url)).applicant();
  await createClient(api.url)
    .post('/auth/register', applicant)
    .catch(() => undefined);
  return applicant;
}

async function registerWithoutWorker(): Promise<Applicant> {
  const applicant = await createAdmins(context, createClient(survivingApi.url)).registerAdmin();
  await eventually(async () => (await messagesTo(applicant))[0]?.state === 'enqueued');
  return applicant;
}

/** Does what the passing of a minute does: a dead worker's claims and locks run out. */
async function letClaimsRunOut(): Promise<void> {
  await context.rows('update outbox set claimed_until = null where claimed_until is not null');
  const redis = new Redis(context.redisUrl);
  const locks = await redis.keys('{mail}:*:lock');
  if (locks.length > 0) await redis.del(...locks);
  redis.disconnect();
}

const messagesTo = ({ email }: Applicant): Promise<{ id: string; state: string }[]> =>
  context.rows(`select o.id, o.state from outbox o where o.recipient = $1`, [email]);

const settled = (applicant: Applicant, withinMs = 60_000): Promise<boolean> =>
  eventually(async () => (await messagesTo(applicant)).every(({ state }) => state === 'settled'), {
    withinMs,
    of: 'the message being settled',
  });

const mailsTaken = (
  smtp: { taken: readonly { to: readonly string[] }[] },
  { email }: Applicant,
): number => smtp.taken.filter(({ to }) => to.includes(email)).length;
