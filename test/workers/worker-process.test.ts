import test from 'ava';
import { sendConfirmationMail } from '../../shared/jobs/mail-jobs.js';
import { outboxJob, outboxJobId } from '../../shared/outbox/outbox-job.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createFirehoseReader } from '../helpers/firehose.js';
import { createMailbox, linksIn, tokenIn } from '../helpers/mailbox.js';
import { startWorker } from '../helpers/processes.js';
import { runWorker } from '../helpers/servers.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { openFixture } from './fixture.js';
import { anyJob } from '../helpers/any-job.js';

shareProcess();

const context = useContext();
const mailbox = createMailbox(context.stack);
const firehose = createFirehoseReader(context);

test.serial(
  'a promised mail arrives; one log line tells of it, here and on the stream; neither holds an address or a token',
  async (t) => {
    const fixture = await openFixture(t, context);
    const worker = await startWorker(context, { scope: t });
    const promised = await fixture.promiseConfirmation();

    const mail = await mailbox.waitForMail(promised.email);
    t.is(mail.subject, 'Confirm your e-mail address');
    t.is(linksIn(mail)[0]?.pathname, '/auth/confirm');
    await eventually(async () => (await fixture.messageOf(promised.id)).state === 'settled');

    const isAboutIt = (line: Readonly<Record<string, unknown>>): boolean =>
      line['labels.outbox_id'] === promised.id;
    const line = await worker.waitForLine(isAboutIt);
    t.like(line, { message: 'job completed', 'labels.result': 'sent', 'event.outcome': 'success' });
    t.deepEqual(await firehose.waitForRecord(isAboutIt), line);

    const told = worker.stdout() + worker.stderr() + JSON.stringify(await firehose.records());
    for (const secret of [promised.email, tokenIn(mail), promised.name])
      t.false(told.includes(secret));
  },
);

test.serial(
  'a shipped batch is not told of on the stream: the stream does not feed itself',
  async (t) => {
    const worker = await runWorker(context, { scope: t });
    const isAboutLogs = (line: Readonly<Record<string, unknown>>): boolean =>
      line['labels.queue'] === 'logs';
    t.is((await worker.waitForLine(isAboutLogs))['log.level'], 'debug');
    t.false((await firehose.records()).some(isAboutLogs));
  },
);

test.serial('it does only what its roles say', async (t) => {
  const fixture = await openFixture(t, context);
  const worker = await runWorker(context, { scope: t, env: { WORKER_ROLES: 'relay' } });
  const { id } = await fixture.promiseConfirmation({
    message: {
      createdAt: `now() - interval '5 seconds'`,
      availableAt: `now() - interval '5 seconds'`,
    },
  });
  await eventually(async () => (await fixture.messageOf(id)).state === 'enqueued');
  t.is((await fixture.queues.mail.stateOf(outboxJobId({ id, generation: 0 }))).state, 'waiting');
  await worker.stop();
  t.is((await fixture.messageOf(id)).state, 'enqueued');

  await runWorker(context, { scope: t, env: { WORKER_ROLES: 'mail' } });
  await eventually(async () => (await fixture.messageOf(id)).state === 'settled');
});

test.serial('without a stream nothing is put on the logs queue', async (t) => {
  const fixture = await openFixture(t, context);
  const worker = await runWorker(context, {
    scope: t,
    env: { FIREHOSE_DELIVERY_STREAM: undefined },
  });
  const { id } = await fixture.promiseConfirmation();
  await eventually(async () => (await fixture.messageOf(id)).state === 'settled');
  t.false(worker.logLines().some((line) => line['labels.queue'] === 'logs'));
});

test.serial(
  'jobs that nobody meant harm no one: each fails with a reason, mails go on',
  async (t) => {
    const fixture = await openFixture(t, context);
    const worker = await runWorker(context, { scope: t });
    const { mail } = fixture.queues;
    await mail.add({
      id: 'evil-1',
      contract: anyJob('mail', 'send-spam'),
      data: { v: 1, outbox_id: "1'; drop table admins", generation: 0 },
    });
    await mail.add({
      id: 'evil-2',
      contract: anyJob('mail', sendConfirmationMail.name),
      data: { to: 'victim@x.example' },
    });
    await mail.add({ id: 'evil-3', contract: anyJob('mail'), data: { v: 99 } });
    const promised = await fixture.promiseConfirmation();
    await mail.add(outboxJob({ id: promised.id, name: 'send-spam', generation: 0 }));
    for (const id of ['evil-1', 'evil-2']) {
      const { failedReason } = await eventually(async () => {
        const state = await mail.stateOf(id);
        return state.state === 'failed' && state;
      });
      t.regex(failedReason ?? '', /^the job does not fit its contract/);
    }
    t.truthy(await mailbox.waitForMail(promised.email));
    t.false(worker.hasEnded());
  },
);

test.serial('SIGTERM with Redis down: an idle worker does not wait for it', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const worker = await startWorker(context, {
    scope: t,
    env: { REDIS_URL: proxy.urlFor(context.redisUrl) },
  });
  await proxy.refuse();
  await worker.waitForLine((line) => line['message'] === 'queue consumer Redis error');
  await worker.stop();
  t.false(worker.logLines().some((line) => line['message'] === 'shutdown deadline exceeded'));
});

test.serial(
  'started while Redis is down, it says so, is alive but not ready, and works when Redis is back',
  async (t) => {
    const fixture = await openFixture(t, context);
    const proxy = await openTcpProxy(t, context.redisUrl);
    await proxy.refuse();
    const worker = await runWorker(context, {
      scope: t,
      env: { REDIS_URL: proxy.urlFor(context.redisUrl) },
    });
    const promised = await fixture.promiseConfirmation();
    const ready = await fetch(`${worker.url}/health/ready`);
    t.is(ready.status, 503);
    t.like(await ready.json(), {
      status: 'not_ready',
      checks: { redis: { ok: false }, postgres: { ok: true } },
    });
    await proxy.restore();
    t.truthy(await mailbox.waitForMail(promised.email));
    await eventually(async () => {
      const answer = await fetch(`${worker.url}/health/ready`);
      if (answer.status !== 200) throw new Error(await answer.text());
      return true;
    });
  },
);

test.serial('a database without its migrations is not ready', async (t) => {
  const worker = await runWorker(context, {
    scope: t,
    env: { DATABASE_URL: context.stack.postgresUrl.replace(/\/[^/]*$/, '/postgres') },
  });
  const ready = await fetch(`${worker.url}/health/ready`);
  t.is(ready.status, 503);
  t.like(await ready.json(), { checks: { migrations: { ok: false } } });
});
