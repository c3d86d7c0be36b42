import test, { type ExecutionContext } from 'ava';
import { Redis } from 'ioredis';
import { outboxJob } from '../../shared/outbox/outbox-job.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { ask } from '../helpers/http.js';
import { startWorker, type ServerProcess } from '../helpers/processes.js';
import { runWorker } from '../helpers/servers.js';
import { openSmtpServer } from '../helpers/smtp-server.js';
import { openFixture } from '../workers/fixture.js';

const context = useContext();
const MAILS = 40;

const post = async (worker: ServerProcess, path: string, body = ''): Promise<number> => {
  const headers = { 'content-type': 'application/json', 'x-aws-sqsd-msgid': 'm-1' };
  const signal = AbortSignal.timeout(30_000);
  return (await ask(`${worker.url}${path}`, { method: 'POST', headers, body, signal })).status;
};

async function promiseMails(t: ExecutionContext, count: number) {
  const fixture = await openFixture(t, context);
  const mails = [];
  for (let i = 0; i < count; i += 1) {
    const mail = await fixture.promiseConfirmation({
      message: { state: 'enqueued', enqueuedAt: 'now()' },
    });
    await fixture.queues.mail.add(
      outboxJob({ id: mail.id, name: 'send-confirmation-mail', generation: 0 }),
    );
    mails.push(mail);
  }
  return { fixture, mails };
}

const deliveriesBy = async (pid: number): Promise<number> =>
  (await context.rows('select 1 from deliveries where worker like $1', [`%:${pid}`])).length;

test.serial(
  'scale-in under load: the worker ends its jobs, takes none, answers the daemon, and no mail is lost or doubled',
  async (t) => {
    let slow = true;
    const release: (() => void)[] = [];
    const smtp = await openSmtpServer(t, {
      onMail: () => (slow ? new Promise((resolve) => release.push(() => resolve('take'))) : 'take'),
    });
    const leaving = await startWorker(context, { scope: t, env: smtp.env });
    const { fixture, mails } = await promiseMails(t, MAILS);
    await eventually(() => release.length > 0, { of: 'a mail under way' });

    leaving.send('SIGUSR2');
    await leaving.waitForLine(({ message }) => message === 'drain started');
    t.is(await jobsOf(leaving), 'draining');
    t.is(await post(leaving, '/tasks/sweep-outbox'), 200);
    slow = false;
    for (const take of release) take();
    await eventually(async () => (await jobsOf(leaving)) === 'drained');
    const sent = await deliveriesBy(leaving.pid);
    t.true(sent < MAILS, 'there is work left');
    t.is(await post(leaving, '/sqs', '{"eventType":"Send"}'), 200);

    await runWorker(context, { scope: t, env: smtp.env });
    await eventually(
      async () => {
        const states = await Promise.all(mails.map(({ id }) => fixture.messageOf(id)));
        return states.every(({ state }) => state === 'settled');
      },
      { withinMs: 60_000 },
    );
    t.is(await deliveriesBy(leaving.pid), sent, 'it has taken no other job');
    await leaving.stop();
    t.deepEqual(
      smtp.taken.flatMap(({ to }) => to).toSorted(),
      mails.map(({ email }) => email).toSorted(),
      'each mail once',
    );
  },
);

test.serial(
  'killed when the grace time is over: what was under way is sent by another, twice at most',
  async (t) => {
    const smtp = await openSmtpServer(t, {
      onMail: (_mail, count) => (count === 1 ? 'hang' : 'take'),
    });
    const leaving = await startWorker(context, { scope: t, env: smtp.env });
    const { fixture, mails } = await promiseMails(t, 5);
    await eventually(() => smtp.received.length > 0);
    leaving.send('SIGUSR2');
    await leaving.waitForLine(({ message }) => message === 'drain started');
    leaving.send('SIGTERM');
    await leaving.waitForLine(({ message }) => message === 'shutdown started');
    await leaving.kill();

    await letClaimsRunOut();
    await runWorker(context, { scope: t, env: smtp.env });
    await eventually(
      async () => {
        const states = await Promise.all(mails.map(({ id }) => fixture.messageOf(id)));
        return states.every(({ state }) => state === 'settled');
      },
      { withinMs: 60_000 },
    );
    for (const { email } of mails) {
      const times = smtp.received.filter(({ to }) => to.includes(email)).length;
      t.true(times >= 1 && times <= 2, `${times} times`);
    }
  },
);

async function jobsOf(worker: ServerProcess): Promise<unknown> {
  const answer = await ask(`${worker.url}/health/ready`, { signal: AbortSignal.timeout(30_000) });
  if (answer.status !== 503) throw new Error(`it is ready: ${answer.status}`);
  return (JSON.parse(answer.text) as { jobs?: unknown }).jobs;
}

/** Does what the passing of a minute does: a dead worker's claims and locks run out. */
async function letClaimsRunOut(): Promise<void> {
  await context.rows('update outbox set claimed_until = null where claimed_until is not null');
  const redis = new Redis(context.redisUrl);
  const locks = await redis.keys('{mail}:*:lock');
  if (locks.length > 0) await redis.del(...locks);
  redis.disconnect();
}
