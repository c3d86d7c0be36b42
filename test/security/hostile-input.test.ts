import { brotliCompressSync, constants, crc32, gzipSync } from 'node:zlib';
import test from 'ava';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { sendSecurityNotice } from '../../shared/jobs/mail-jobs.js';
import { outboxJob } from '../../shared/outbox/outbox-job.js';
import { queuePrefix } from '../../shared/queues/registry.js';
import { redisAddress } from '../../shared/queues/redis-client.js';
import { useSystemProcesses } from '../helpers/api.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createFirehoseReader } from '../helpers/firehose.js';
import { openFixture } from '../workers/fixture.js';

shareProcess();

const context = useContext();
const system = useSystemProcesses(context);

const VICTIM = `victim@${context.mailDomain}`;
const ID = '01920000-0000-7000-8000-000000000000';

/** Data that nobody honest has put on the mail queue. */
const evilData: Readonly<Record<string, unknown>> = {
  'an address and a text': { v: 1, to: VICTIM, subject: 'x', html: '<b>x</b>' },
  'a text in place of an id': { v: 1, outbox_id: "1'; drop table admins; --", generation: 0 },
  'an admin in place of an id': { v: 1, admin_id: '1;drop', generation: 0 },
  'a foreign field': { v: 1, outbox_id: ID, generation: 0, to: VICTIM },
  'a foreign template': { v: 1, outbox_id: ID, generation: 0, template: '../../etc/passwd' },
  'an operator in place of an id': { v: 1, outbox_id: { $ne: null }, generation: 0 },
  'a generation in text': { v: 1, outbox_id: ID, generation: '0' },
  'a generation below zero': { v: 1, outbox_id: ID, generation: -1 },
  'a generation beyond numbers': { v: 1, outbox_id: ID, generation: 1e308 },
  'a version in text': { v: '1', outbox_id: ID, generation: 0 },
  'no version': { outbox_id: ID, generation: 0 },
  'five megabytes': { v: 1, outbox_id: ID, generation: 0, padding: 'x'.repeat(5_000_000) },
  nothing: {},
  'a list': [1, 2, 3],
  'a text': 'send it',
  null: null,
};

test.serial(
  'S72 a job that nobody honest has made is given up with a reason, and mails nobody',
  async (t) => {
    const mail = openQueue(t, 'mail');
    const evil = Object.entries(evilData).map(([what, data]) => ({ what, data }));
    for (const [i, { data }] of evil.entries()) {
      await mail.add(i % 2 ? 'send-confirmation-mail' : 'send-spam', data, {
        jobId: `evil-${i}`,
        attempts: 2,
      });
    }
    for (const [i, { what }] of evil.entries()) {
      const reason = await failedReasonOf(mail, `evil-${i}`);
      t.regex(reason, /^the job does not fit its contract: /, what);
      t.false(reason.includes(VICTIM) || reason.length > 300, what);
    }
    await honestMailArrives();
    t.deepEqual(await system.mailbox.mailsTo(VICTIM), []);
  },
);

test.serial('S72 a job of a version to come is left to the workers to come', async (t) => {
  const mail = openQueue(t, 'mail');
  const data = { v: 99, to: VICTIM };
  const job = await mail.add('send-spam', data, {
    jobId: 'of-version-99',
    attempts: 3,
    backoff: { type: 'jittered' },
  });
  await eventually(async () => (await job.getState()) === 'delayed');
  await honestMailArrives();
  t.deepEqual(await system.mailbox.mailsTo(VICTIM), []);
});

test.serial(
  'S72 a job says where its message is, not what it is: a foreign name changes nothing',
  async (t) => {
    const fixture = await openFixture(t, context);
    const promised = await fixture.promiseConfirmation();
    const foreign = { id: promised.id, name: sendSecurityNotice.name, generation: 0 };
    await fixture.queues.mail.add(outboxJob(foreign));
    t.regex((await system.mailbox.waitForMail(promised.email)).subject, /^Confirm/);
  },
);

test.serial('S72 entries of Redis that are no jobs harm no one', async (t) => {
  const redis = new Redis(context.redisUrl);
  t.teardown(() => redis.disconnect());
  const key = (rest: string): string => `{mail}:mail:${rest}`;
  const fields = { name: 'x', opts: '{}', timestamp: '1', delay: '0', priority: '0' };
  await redis.hset(key('no-json'), { ...fields, data: '{"v":1,' });
  await redis.hset(key('no-options'), { ...fields, data: '{}', opts: 'nonsense' });
  await redis.hset(key('no-fields'), { some: 'thing' });
  await redis.set(key('no-hash'), 'a text');
  await redis.lpush(
    key('wait'),
    'no-json',
    'no-options',
    'no-fields',
    'no-hash',
    'no-such-key',
    '',
  );
  await redis.zadd(key('marker'), 0, '0');
  await honestMailArrives();
  t.false(system.worker.hasEnded());
});

test.serial('S72 a batch that is none is given up, and the logs go on', async (t) => {
  const logs = openQueue(t, 'logs');
  const line = Buffer.from('{}\n');
  const bomb = Buffer.alloc(64 * 1_024 * 1_024);
  const pack = (text: Buffer) => {
    const packed = brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 3 } });
    return { v: 2, lines: packed.toString('base64'), bytes: text.length, crc: crc32(packed) };
  };
  const [good, packedBomb] = [pack(line), pack(bomb)];
  const evil = {
    'no archive': { ...good, lines: Buffer.from('nonsense').toString('base64') },
    'no base64': { ...good, lines: '\u0000' },
    'a bomb': { ...packedBomb, bytes: line.length },
    'a bomb that says so': packedBomb,
    'a bomb of an earlier version': { v: 1, lines: gzipSync(bomb).toString('base64') },
    'half an archive': { ...good, lines: good.lines.slice(0, 4) },
    'another archive': { ...good, lines: pack(Buffer.from('[]\n')).lines },
    'a field too many': { ...good, count: 1_000_000 },
    'lines that are none': { ...good, lines: { $ne: null } },
    'another job’s data': { v: 1, outbox_id: ID, generation: 0 },
  };
  for (const [what, data] of Object.entries(evil)) {
    const { id = '' } = await logs.add('ship-log-batch', data, { attempts: 2 });
    t.regex(await failedReasonOf(logs, id), /unpacked|contract/, what);
  }
  const headers = { 'x-request-id': 'after-the-bombs' };
  await system.client.get('/health/live', { headers });
  const record = await createFirehoseReader(context).waitForRecord(
    (each) => each['http.request.id'] === 'after-the-bombs',
  );
  t.is(record['url.path'], '/health/live');
});

test.serial('S66 what fails inside of a request or a job ends neither process', async (t) => {
  const pids = [system.server.pid, system.worker.pid];
  const admin = await system.admins.confirmedAdmin();
  for (let round = 0; round < 5; round++) {
    const hangUp = new AbortController();
    const asked = Promise.allSettled([
      ...Array.from({ length: 5 }, (_, i) =>
        admin.client.post(
          '/users',
          { email: `hang-up-${round}-${i}@x.test` },
          { signal: hangUp.signal },
        ),
      ),
      admin.client.raw('POST', '/users', {
        body: '{"email":',
        headers: { 'content-type': 'application/json' },
      }),
      admin.client.raw('GET', '/users/%'),
    ]);
    const killed = context.rows(
      `select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name like 'rollcall-%'`,
    );
    hangUp.abort();
    await Promise.all([asked, killed]);
  }
  await eventually(async () => (await admin.client.raw('GET', '/users')).status === 200);
  await honestMailArrives();

  for (const process of [system.server, system.worker]) {
    t.false(process.hasEnded());
    const messages = process.logLines().map(({ message }) => message);
    t.false(messages.includes('uncaught exception') || messages.includes('shutdown started'));
    t.notRegex(process.stderr(), /unhandled|uncaught|DeprecationWarning/i);
  }
  t.deepEqual([system.server.pid, system.worker.pid], pids);
});

/** Resolves when the job is given up. */
function failedReasonOf(queue: Queue, id: string): Promise<string> {
  return eventually(
    async () =>
      (await queue.getJobState(id)) === 'failed' && (await queue.getJob(id))?.failedReason,
    { of: `the failure of ${id}` },
  );
}

/** The worker still does what it is there for. */
async function honestMailArrives(): Promise<void> {
  const { email } = await eventually(() => system.admins.registerAdmin());
  await system.mailbox.waitForMail(email, { subject: /confirm/i });
}

function openQueue(scope: Scope, name: 'mail' | 'logs'): Queue {
  const connection = redisAddress(context.redisUrl);
  const queue = new Queue(name, { connection, prefix: queuePrefix(name) });
  scope.teardown(() => queue.close());
  return queue;
}
