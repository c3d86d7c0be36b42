import { brotliDecompressSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import { Queue } from 'bullmq';
import { buildDeps } from '../../api/deps.js';
import { loadApiConfig } from '../../shared/config/config.js';
import { shipLogBatch } from '../../shared/jobs/ship-log-batch.js';
import { outboxJob } from '../../shared/outbox/outbox-job.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { useContext } from '../helpers/context.js';
import { environment } from '../helpers/env.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { startApi, startWorker, type ServerProcess } from '../helpers/processes.js';
import { openSmtpServer } from '../helpers/smtp-server.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { openFixture } from '../workers/fixture.js';
import { openConnection, readAnswer } from '../helpers/raw-http.js';

const context = useContext();
const body = JSON.stringify({ email: 'nobody@x.test', password: 'not the password of anybody' });

/** A request that is under way, the client waiting for leave to send the body, on a connection that it would keep. */
async function openRequest(url: string, path: string) {
  const socket = await openConnection(url);
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => (received += text));
  socket.write(
    `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      'Expect: 100-continue\r\n\r\n',
  );
  await eventually(() => received.includes('100 Continue'));
  return socket;
}

/** A kept-alive connection on which nothing is under way. */
async function openIdle(url: string) {
  const socket = await openConnection(url);
  let received = '';
  socket.setEncoding('utf8').on('data', (text: string) => (received += text));
  socket.write('GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n');
  await eventually(() => received.includes('alive'));
  return socket;
}

/** Sends SIGTERM and resolves when the process has begun to stop. */
async function beginStop(server: ServerProcess): Promise<void> {
  server.send('SIGTERM');
  await server.waitForLine((line) => line['message'] === 'shutdown started');
}

async function endsInOrder(t: ExecutionContext, server: ServerProcess): Promise<void> {
  await eventually(() => server.hasEnded(), { of: 'the end of the process' });
  t.deepEqual(await server.waitForExit(), { code: 0, signal: null });
  t.false(server.logLines().some((line) => line['message'] === 'shutdown deadline exceeded'));
}

test.serial(
  'the API answers what is under way, closes kept-alive connections, hands its log over and ends',
  async (t) => {
    const api = await startApi(context, { scope: t });
    const underWay = await openRequest(api.url, '/auth/login');
    const idle = await openIdle(api.url);
    const idleClosed = new Promise((resolve) => idle.once('close', resolve));
    await beginStop(api);
    await idleClosed;

    const answered = readAnswer(underWay);
    underWay.write(body);
    const answer = await answered;
    t.is(answer.status, 401);
    t.is(answer.headers.get('connection'), 'close');
    await endsInOrder(t, api);
    t.true((await handedOver()).includes('"message":"shutdown started"'));
  },
);

test.serial('the API cuts off a client that never finishes, in time for its log', async (t) => {
  const api = await startApi(context, { scope: t });
  const stuck = await openRequest(api.url, '/auth/login');
  await beginStop(api);
  await readAnswer(stuck);
  await endsInOrder(t, api);
});

test.serial('the worker does not wait for a client that never finishes', async (t) => {
  const worker = await startWorker(context, { scope: t });
  const stuck = await openRequest(worker.url, '/tasks/sweep-outbox');
  await openIdle(worker.url);
  await beginStop(worker);
  await readAnswer(stuck);
  await endsInOrder(t, worker);
});

test.serial(
  'the worker ends in time although its mail server and its Redis are silent and a client never finishes',
  async (t) => {
    const redis = await openTcpProxy(t, context.redisUrl);
    const smtp = await openSmtpServer(t, { onMail: () => 'hang' });
    const fixture = await openFixture(t, context);
    const worker = await startWorker(context, {
      scope: t,
      env: { ...smtp.env, REDIS_URL: redis.urlFor(context.redisUrl) },
    });
    const { id } = await fixture.promiseConfirmation();
    await fixture.queues.mail.add(outboxJob({ id, name: 'send-confirmation-mail', generation: 0 }));
    await eventually(() => smtp.received.length === 1);
    await openRequest(worker.url, '/tasks/sweep-outbox');
    redis.silence();
    await beginStop(worker);
    await endsInOrder(t, worker);
  },
);

/** The log lines that wait in Redis for a worker. */
async function handedOver(): Promise<string> {
  const queue = new Queue('logs', { connection: redisAddress(context.redisUrl), prefix: '{logs}' });
  try {
    const jobs = await queue.getJobs(['waiting']);
    return jobs
      .map(({ data }) => Buffer.from(shipLogBatch.schema.parse(data).lines, 'base64'))
      .map((bytes) => brotliDecompressSync(bytes).toString('utf8'))
      .join('');
  } finally {
    await queue.close();
  }
}

test.serial(
  'an API that fails to start has registered the release of all that it opened',
  async (t) => {
    const config = loadApiConfig(environment(context));
    const passwords = {
      ...config.passwords,
      get pepper(): string {
        throw new Error('there is no pepper');
      },
    };
    const opened: string[] = [];
    const { log } = createRecordingLogger();
    const building = buildDeps(
      { ...config, passwords },
      {
        log,
        onStop(name, release) {
          opened.push(name);
          t.teardown(async () => release({ reason: 'the test is over', exitCode: 0 }));
        },
      },
    );
    await t.throwsAsync(building, { message: 'there is no pepper' });
    t.deepEqual(opened, ['database', 'queues', 'outbox', 'rate limits', 'bulk actions']);
  },
);
