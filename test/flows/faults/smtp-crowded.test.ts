import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { createAdmins } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { startWorker } from '../../helpers/processes.js';
import { runApi, runWorker, type RunningServer } from '../../helpers/servers.js';
import { openSmtpServer, type SmtpAnswer } from '../../helpers/smtp-server.js';

shareProcess();

const context = useContext();
const MAILS = 30;

test.serial(
  'a server that takes two connections at once gets every mail once, and is not told to be out of reach (field: nodemailer 1613, email-templates 469, luxletter 247)',
  async (t) => {
    const smtp = await openSmtpServer(t, {
      // What a mail takes this server.
      onMail: () => delay(150, 'take'),
      server: { maxClients: 2 },
    });
    const applicants = await registerMany(t, MAILS);
    const worker = await runWorker(context, { scope: t, env: smtp.env });
    await eventually(async () => (await countOf('settled')) === MAILS);
    for (const { email } of applicants)
      t.is(smtp.taken.filter(({ to }) => to.includes(email)).length, 1);
    const told = worker.logLines().map(({ message }) => message);
    t.true(told.includes('SMTP connections reduced'));
    t.false(told.includes('SMTP server unreachable; mails wait'));
    t.false(told.includes('queue throttled'));
    t.is(await countedTries(), MAILS, 'each went at its first try that counts');
    t.true((await deferrals()) < MAILS / 2, 'few are refused a connection');
  },
);

test.serial(
  'two workers before a server that takes one connection: the mails go, and neither throttles the queue',
  async (t) => {
    await context.rows('delete from outbox');
    const smtp = await openSmtpServer(t, { server: { maxClients: 1 } });
    await registerMany(t, MAILS);
    const workers = [
      await runWorker(context, { scope: t, env: smtp.env }),
      await startWorker(context, { scope: t, env: { ...smtp.env, WORKER_ROLES: 'mail' } }),
    ];
    await eventually(async () => (await countOf('settled')) === MAILS);
    t.is(smtp.taken.length, MAILS);
    const told = workers.flatMap((worker) => worker.logLines().map(({ message }) => message));
    t.false(told.includes('job failed permanently'));
  },
);

test.serial(
  'a server that refuses every mail in words that nobody knows: all of them leave once it is mended',
  async (t) => {
    await context.rows('delete from outbox');
    let answer: SmtpAnswer = { code: 554, text: '5.7.1 computer says no' };
    const smtp = await openSmtpServer(t, { onMail: () => answer });
    await registerMany(t, 5);
    const worker = await runWorker(context, { scope: t, env: smtp.env });
    await eventually(async () => (await readiness(worker)).status === 503);
    t.regex((await readiness(worker)).body, /computer says no/);
    answer = 'take';
    await eventually(async () => (await countOf('settled')) === 5);
    t.is(smtp.taken.length, 5);
    await eventually(async () => (await readiness(worker)).status === 200);
  },
);

async function registerMany(scope: Scope, count: number) {
  const { url } = await runApi(context, { scope });
  const admins = createAdmins(context, createClient(url));
  return Promise.all(Array.from({ length: count }, () => admins.registerAdmin()));
}

async function readiness({ url }: RunningServer): Promise<{ status: number; body: string }> {
  const answer = await fetch(`${url}/health/ready`);
  return { status: answer.status, body: await answer.text() };
}

const numberOf = async (sql: string, values: unknown[] = []): Promise<number> =>
  (await context.rows<{ n: number }>(sql, values))[0]?.n ?? 0;
const countOf = (state: string) =>
  numberOf('select count(*)::int as n from outbox where state = $1', [state]);
const countedTries = () => numberOf('select coalesce(sum(attempts), 0)::int as n from outbox');
const deferrals = () =>
  numberOf(`select count(*)::int as n from deliveries where outcome = 'deferred'`);
