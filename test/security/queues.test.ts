import { brotliDecompressSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { Queue, type Job, type JobType } from 'bullmq';
import { Redis } from 'ioredis';

import { queuePrefix, type QueueName } from '../../shared/queues/registry.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { mintedToken } from '../helpers/admins.js';
import { useApi } from '../helpers/api.js';
import { useContext, type Scope } from '../helpers/context.js';
import { PASSWORD_PEPPER, SECRET_KEY } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { runWorker } from '../helpers/servers.js';
import { dumpRedis } from '../helpers/redis.js';
import { openSmtpServer } from '../helpers/smtp-server.js';

const context = useContext();

const SMTP_PASSWORD = 'canary-smtp-password';
const AWS_SECRET = 'canary-aws-secret';
const env = { MAIL_USERNAME: 'canary-smtp-user', MAIL_PASSWORD: SMTP_PASSWORD, AWS_SECRET };
const api = useApi(context, { env });

const STATES: JobType[] = ['waiting', 'delayed', 'active', 'completed', 'failed'];

test.serial(
  'S71 in no state does a job hold more than ids and a version; nothing secret is in Redis',
  async (t) => {
    const names = ['canary-sent', 'canary-deferred', 'canary-refused'];
    const applicants = [];
    for (const name of names) {
      const email = `${name}@${context.mailDomain}`;
      applicants.push(await api.admins.registerAdmin({ email, password: `${name} is a long one` }));
    }
    const canaries = [
      SECRET_KEY,
      PASSWORD_PEPPER,
      ...Object.values(env),
      ...(await actEverywhere(t)),
    ];
    for (const { email, name, password } of applicants) {
      canaries.push(email, name, password, (await mintedToken(context)(email)).slice(-43));
    }
    const mail = openQueue(t, 'mail');
    await eventually(async () => (await mail.getJobCountByTypes('waiting')) > names.length);
    await eventually(async () => (await logLinesInRedis()).includes('"/auth/password/reset"'));
    await holdsNone(t, canaries, 'waiting');

    const smtp = await openSmtpServer(t, {
      // Servers like to repeat the address, and some of them the link.
      onRecipient: (to) => {
        if (to.startsWith('canary-deferred')) return { code: 451, text: `4.7.1 <${to}> later` };
        if (to.startsWith('canary-refused')) return { code: 550, text: `5.1.1 <${to}> unknown` };
        return 'take';
      },
      server: { authOptional: true, onAuth: (_auth, _session, done) => done(null, { user: 'x' }) },
    });
    const worker = await runWorker(context, { scope: t, env: { ...env, ...smtp.env } });
    await eventually(
      async () => {
        const counts = await mail.getJobCounts('completed', 'delayed', 'failed', 'waiting');
        return (
          counts['waiting'] === 0 &&
          ['completed', 'delayed', 'failed'].every((state) => (counts[state] ?? 0) > 0)
        );
      },
      { of: 'a job in every state' },
    );
    await holdsNone(t, canaries, 'completed, delayed and failed');
    await worker.stop();

    const jobs = (await mail.getJobs(STATES)) as Job<object>[];
    t.true(jobs.length > names.length);
    for (const { data } of jobs) {
      t.deepEqual(Object.keys(data).toSorted(), ['generation', 'outbox_id', 'v']);
    }
  },
);

test.serial('S71 what is over is kept for a time and up to a number', async (t) => {
  for (const name of ['mail', 'logs'] as const) {
    const queue = openQueue(t, name);
    const job = await eventually(async () => (await queue.getJobs([...STATES]))[0]);
    for (const kept of [job.opts.removeOnComplete, job.opts.removeOnFail]) {
      if (kept === true) continue;
      const { age, count } = kept as { age: number; count: number };
      t.true(age <= 14 * 86_400 && count <= 10_000, `${name}: ${JSON.stringify(kept)}`);
    }
  }
});

/** Sends secrets wherever the API takes some; resolves to them. */
async function actEverywhere(t: ExecutionContext): Promise<string[]> {
  const admin = await api.admins.confirmedAdmin({ password: 'canary password of an admin' });
  const { email, password, client } = admin;
  const { access_token, refresh_token } = await api.admins.logIn(admin);
  const wrong = 'canary password that is wrong';
  await api.client.post('/auth/login', { email, password: wrong });
  await api.client.post('/auth/refresh', { refresh_token });
  await client.put('/auth/me', { password: `a new ${password}`, current_password: wrong });
  const changed = { password: `a new ${password}`, current_password: password };
  t.is((await client.put('/auth/me', changed)).status, 200);
  await api.client.post('/auth/password/forgot', { email });
  const reset = await mintedToken(context)(email);
  await api.client.raw('GET', `/auth/password/reset?token=${reset}`);
  await api.client.get(`/users?access_token=${access_token}`);
  await client.post('/users', { email: 'canary-user@x.test', name: 'Canary User' });
  const headers = { authorization: 'Basic Y2FuYXJ5', cookie: 'session=canary-cookie' };
  await api.client.get('/users', { headers });
  const tokens = [access_token, refresh_token, reset].map((token) => token.slice(-43));
  return [
    email,
    password,
    wrong,
    ...tokens,
    'canary-user',
    'Canary User',
    'Y2FuYXJ5',
    'canary-cookie',
  ];
}

async function holdsNone(
  t: ExecutionContext,
  canaries: readonly string[],
  when: string,
): Promise<void> {
  const held = (await dumpRedis(context.redisUrl)) + (await logLinesInRedis());
  for (const canary of canaries) {
    const bytes = Buffer.from(canary);
    const other = [bytes.toString('base64'), bytes.toString('hex'), encodeURIComponent(canary)];
    for (const spelling of [canary, ...other]) {
      t.false(held.includes(spelling), `${spelling}, ${when}`);
    }
  }
}

/** The log lines that wait to be shipped, unpacked. */
async function logLinesInRedis(): Promise<string> {
  const redis = new Redis(context.redisUrl);
  try {
    const keys = await redis.keys('{logs}:logs:*');
    const texts: string[] = [];
    for (const key of keys) {
      if ((await redis.type(key)) !== 'hash') continue;
      const data = await redis.hget(key, 'data');
      const { lines } = JSON.parse(data ?? '{}') as { lines?: string };
      if (lines !== undefined)
        texts.push(brotliDecompressSync(Buffer.from(lines, 'base64')).toString());
    }
    return texts.join('');
  } finally {
    redis.disconnect();
  }
}

function openQueue(scope: Scope, name: QueueName): Queue {
  const connection = redisAddress(context.redisUrl);
  const queue = new Queue(name, { connection, prefix: queuePrefix(name) });
  scope.teardown(() => queue.close());
  return queue;
}
