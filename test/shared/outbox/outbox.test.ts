import { randomUUID } from 'node:crypto';
import test from 'ava';
import { Queue } from 'bullmq';
import type { Database } from '../../../shared/database/connect.js';
import { withTransaction } from '../../../shared/database/transaction.js';
import { sendConfirmationMail, sendSecurityNotice } from '../../../shared/jobs/mail-jobs.js';
import type { FailpointName } from '../../../shared/lifecycle/failpoint.js';
import { OutboxJobData, outboxJobId } from '../../../shared/outbox/outbox-job.js';
import { createOutbox, type Outbox } from '../../../shared/outbox/outbox.js';
import type { JobQueue } from '../../../shared/queues/job-queue.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { redisAddress } from '../../../shared/queues/redis-client.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { withClockOff } from '../../helpers/clock.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

shareProcess();

const context = useContext();
const cause = { traceId: 'trace', requestId: 'request-1', spanId: 'ab'.repeat(8) };

test('a message is a row of the transaction that causes it, and holds ids alone', async (t) => {
  const { database, outbox } = await setUp(t);
  const confirmationId = randomUUID();
  const adminId = await insertAdmin();
  await withTransaction(database, (tx) =>
    outbox.enqueue(
      tx,
      sendConfirmationMail,
      { v: 1, confirmation_id: confirmationId },
      { adminId, recipient: 'ann@example.com', cause },
    ),
  );
  const [row, ...others] = await rowsOf(adminId);
  t.is(others.length, 0);
  t.is(row?.name, 'send-confirmation-mail');
  t.deepEqual(row?.payload, { v: 1, confirmation_id: confirmationId });
  t.like(row, { trace_id: 'trace', request_id: 'request-1', span_id: 'ab'.repeat(8) });
});

test('once committed, its job is made and the row knows', async (t) => {
  const { database, outbox } = await setUp(t);
  const adminId = await insertAdmin();
  await enqueue(database, outbox, adminId);
  const row = await eventually(async () =>
    (await rowsOf(adminId)).find(({ state }) => state === 'enqueued'),
  );
  t.is(row.enqueue_count, 1);
  t.not(row.enqueued_at, null);
  const job = await jobOf(row.id);
  t.is(job?.name, 'send-security-notice');
  t.deepEqual(OutboxJobData.parse(job?.data), { v: 1, outbox_id: row.id, generation: 0 });
});

test('nothing is seen of a message before its transaction commits', async (t) => {
  const { database, outbox } = await setUp(t);
  const adminId = await insertAdmin();
  await withTransaction(database, async (tx) => {
    await outbox.enqueue(
      tx,
      sendSecurityNotice,
      { v: 1, admin_id: adminId, notice: 'password_changed' },
      { adminId, recipient: 'ann@example.com', cause },
    );
    t.deepEqual(await rowsOf(adminId), []);
  });
  t.is((await rowsOf(adminId)).length, 1);
});

test('a transaction that is rolled back leaves neither row nor job', async (t) => {
  const { database, outbox, passed } = await setUp(t);
  const adminId = await insertAdmin();
  await t.throwsAsync(
    withTransaction(database, async (tx) => {
      await outbox.enqueue(
        tx,
        sendSecurityNotice,
        { v: 1, admin_id: adminId, notice: 'password_changed' },
        { adminId, recipient: 'ann@example.com', cause },
      );
      throw new Error('changed my mind');
    }),
    { message: 'changed my mind' },
  );
  await outbox.close();
  t.deepEqual(await rowsOf(adminId), []);
  t.deepEqual(passed, []);
});

test('two messages of one transaction are two jobs', async (t) => {
  const { database, outbox } = await setUp(t);
  const adminId = await insertAdmin();
  await withTransaction(database, async (tx) => {
    for (let i = 0; i < 2; i++) {
      await outbox.enqueue(
        tx,
        sendSecurityNotice,
        { v: 1, admin_id: adminId, notice: 'password_changed' },
        { adminId, recipient: 'ann@example.com', cause },
      );
    }
  });
  await outbox.close();
  const rows = await rowsOf(adminId);
  t.deepEqual(
    rows.map(({ state }) => state),
    ['enqueued', 'enqueued'],
  );
  for (const { id } of rows) t.truthy(await jobOf(id));
});

test('close waits for hand-overs that are under way', async (t) => {
  const { database, outbox } = await setUp(t);
  const adminId = await insertAdmin();
  await enqueue(database, outbox, adminId);
  await outbox.close();
  t.deepEqual(
    (await rowsOf(adminId)).map(({ state }) => state),
    ['enqueued'],
  );
});

test('the moments at which a crash can part row and job are passed in order', async (t) => {
  const { database, outbox, passed } = await setUp(t);
  await enqueue(database, outbox, await insertAdmin());
  await outbox.close();
  t.deepEqual(passed, ['after-commit', 'after-add']);
});

for (const how of ['refuse', 'silence'] as const) {
  test(`with Redis down (${how}) the commit does not wait; the row stays pending and a warning is logged`, async (t) => {
    const proxy = await openTcpProxy(t, context.redisUrl);
    const { database, outbox, lines, messages } = await setUp(t, proxy.urlFor(context.redisUrl));
    const adminId = await insertAdmin();
    await proxy[how]();
    const id = await enqueue(database, outbox, adminId);
    t.deepEqual(messages(), [], 'the commit was done before the hand-over had failed');
    await eventually(() => messages().length > 0);
    t.deepEqual(messages(), ['enqueue after commit failed; relay will retry']);
    t.like(lines[0], { 'labels.outbox_id': id, 'trace.id': cause.traceId });
    const [row] = await rowsOf(adminId);
    t.deepEqual([row?.state, row?.enqueue_count, row?.enqueued_at], ['pending', 0, null]);
  });
}

test('after a failure the queue is left alone for a while: fewer warnings than commits', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const { database, outbox, messages } = await setUp(t, proxy.urlFor(context.redisUrl));
  const adminId = await insertAdmin();
  await proxy.refuse();
  await enqueue(database, outbox, adminId);
  await outbox.close();
  for (let i = 0; i < 5; i++) await enqueue(database, outbox, adminId);
  await outbox.close();
  t.deepEqual(new Set((await rowsOf(adminId)).map(({ state }) => state)), new Set(['pending']));
  // Six commits; on a machine that is very busy they may last longer than the while.
  const warnings = messages().filter((message) =>
    String(message).startsWith('enqueue after commit'),
  );
  t.true(warnings.length < 6, `${warnings.length} warnings`);
});

test.serial('a clock that is set back meanwhile does not lengthen the while', async (t) => {
  const proxy = await openTcpProxy(t, context.redisUrl);
  const { database, outbox } = await setUp(t, proxy.urlFor(context.redisUrl));
  const adminId = await insertAdmin();
  await proxy.refuse();
  await enqueue(database, outbox, adminId);
  await outbox.close();
  await proxy.restore();
  await withClockOff(-3_600_000, () =>
    eventually(async () => {
      await enqueue(database, outbox, adminId);
      await outbox.close();
      return (await rowsOf(adminId)).some(({ state }) => state === 'enqueued');
    }),
  );
  t.pass();
});

test('a message that has been moved on by the time its job is made is not marked', async (t) => {
  const { database, outbox, moveOnAfterAdd } = await setUp(t);
  const adminId = await insertAdmin();
  moveOnAfterAdd(adminId);
  await enqueue(database, outbox, adminId);
  await outbox.close();
  t.deepEqual(
    (await rowsOf(adminId)).map(({ state, enqueue_count }) => [state, enqueue_count]),
    [['settled', 0]],
  );
});

test('an id has one job per generation, and BullMQ takes it as an id', (t) => {
  t.is(outboxJobId({ id: '0190a', generation: 2 }), 'o-0190a-2');
});

async function setUp(scope: Scope, redisUrl = context.redisUrl) {
  const database = openTestDatabase(scope, context.databaseUrl);
  const { log, lines, messages } = createRecordingLogger();
  const queues = openQueues({ url: redisUrl, logsUrl: redisUrl }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  const passed: FailpointName[] = [];
  const failpoint = (name: FailpointName): void => void passed.push(name);
  let movedOn: number | undefined;
  const queue: JobQueue<'mail'> = {
    ...queues.mail,
    async add(job) {
      await queues.mail.add(job);
      if (movedOn !== undefined) {
        await context.rows(`update outbox set state = 'settled' where admin_id = $1`, [movedOn]);
      }
    },
  };
  const outbox = createOutbox({ database, queue, room: queues.room.mail, failpoint, log });
  scope.teardown(() => outbox.close());
  const moveOnAfterAdd = (adminId: number): void => void (movedOn = adminId);
  return { database, outbox, lines, messages, passed, moveOnAfterAdd };
}

function enqueue(database: Database, outbox: Outbox, adminId: number): Promise<string> {
  return withTransaction(database, (tx) =>
    outbox.enqueue(
      tx,
      sendSecurityNotice,
      { v: 1, admin_id: adminId, notice: 'password_changed' },
      { adminId, recipient: 'ann@example.com', cause },
    ),
  );
}

async function insertAdmin(): Promise<number> {
  const email = context.uniqueAddress();
  const [row] = await context.rows<{ id: number }>(
    `insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at)
      values ($1, $1, $1, $1, 'x', now()) returning id`,
    [email],
  );
  return row?.id ?? 0;
}

interface OutboxRow {
  readonly id: string;
  readonly name: string;
  readonly payload: unknown;
  readonly trace_id: string;
  readonly state: string;
  readonly enqueue_count: number;
  readonly enqueued_at: Date | null;
}

const rowsOf = (adminId: number): Promise<OutboxRow[]> =>
  context.rows<OutboxRow>('select * from outbox where admin_id = $1 order by id', [adminId]);

async function inspect<T>(look: (queue: Queue) => Promise<T>): Promise<T> {
  const queue = new Queue('mail', { connection: redisAddress(context.redisUrl), prefix: '{mail}' });
  try {
    return await look(queue);
  } finally {
    await queue.close();
  }
}

const jobOf = (outboxId: string) => inspect((queue) => queue.getJob(`o-${outboxId}-0`));
