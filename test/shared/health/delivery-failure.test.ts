import test from 'ava';
import { findDeliveryFailure } from '../../../shared/health/delivery-failure.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { insertMessage } from '../../workers/fixture.js';

shareProcess();

const context = useContext();
const ago = (minutes: number): string => `now() - interval '${minutes} minutes'`;

test.serial.beforeEach(() => context.rows('truncate outbox, processes cascade'));

interface Failed {
  /** When it was asked for or redriven. */
  readonly dueMinutesAgo: number;
  /** When it failed; empty if it was not tried since. */
  readonly failedMinutesAgo: readonly number[];
  readonly state?: 'pending' | 'enqueued';
}

/** A mail that has failed and waits. */
async function insertFailed(
  recipient: string,
  { dueMinutesAgo, failedMinutesAgo, state = 'enqueued' }: Failed,
): Promise<void> {
  const id = await insertMessage(
    context,
    null,
    'x',
    {},
    {
      state,
      recipient,
      createdAt: ago(3_000),
      availableAt: ago(dueMinutesAgo),
      enqueuedAt: ago(0),
    },
  );
  await context.rows(`update outbox set last_error = '452 mailbox full' where id = $1`, [id]);
  for (const minutes of failedMinutesAgo)
    await context.rows(
      `insert into deliveries (outbox_id, attempt, worker, started_at, finished_at, outcome)
       values ($1, 1, 'w', ${ago(minutes)}, ${ago(minutes)}, 'deferred')`,
      [id],
    );
}

async function insertSent(minutesAgo: number): Promise<void> {
  const id = await insertMessage(context, null, 'x', {}, { state: 'settled' });
  await context.rows(
    `update outbox set outcome = 'sent', settled_at = ${ago(minutesAgo)} where id = $1`,
    [id],
  );
}

const find = (scope: Scope): Promise<string | undefined> =>
  findDeliveryFailure(openTestDatabase(scope, context.databaseUrl));
const since = (minutes: number): Failed => ({
  dueMinutesAgo: minutes,
  failedMinutesAgo: [minutes, 1],
});

test.serial('one mailbox that refuses is not all mail, however long it does', async (t) => {
  await insertFailed('full@a.test', since(11));
  t.is(await find(t), undefined);
  await insertFailed('other@A.test', since(900));
  t.is(await find(t), undefined, 'nor are two of one domain');
});

test.serial('mails to two domains, or to three recipients, that all fail are', async (t) => {
  await insertFailed('one@a.test', since(11));
  await insertFailed('one@b.test', { ...since(12), state: 'pending' });
  t.is(
    await find(t),
    'none was sent in the last ten minutes; 2 failed and wait, the oldest for 12 minutes: 452 mailbox full',
  );
  await context.rows(`update outbox set recipient = replace(recipient, 'b.test', 'a.test')`);
  t.is(await find(t), undefined);
  await insertFailed('two@a.test', since(11));
  await insertFailed('three@a.test', since(11));
  t.regex((await find(t)) ?? '', /4 failed and wait/);
});

test.serial('what failed before another mail was sent is about that mail', async (t) => {
  await insertFailed('full@a.test', since(600));
  await insertFailed('full@b.test', since(30));
  await insertSent(20);
  t.is(await find(t), undefined);
  await insertFailed('one@c.test', since(15));
  t.is(await find(t), undefined);
  await insertFailed('one@d.test', since(15));
  t.regex((await find(t)) ?? '', /the oldest for 15 minutes/);
});

test.serial('a redriven mail counts from its first failure since then', async (t) => {
  const redriven = { dueMinutesAgo: 12, failedMinutesAgo: [1_440, 2] };
  await insertFailed('one@a.test', redriven);
  await insertFailed('one@b.test', redriven);
  await insertFailed('one@c.test', { dueMinutesAgo: 12, failedMinutesAgo: [1_440] });
  t.is(await find(t), undefined);
  await context.rows(
    `update deliveries set started_at = ${ago(11)}, finished_at = ${ago(11)}
      where started_at > ${ago(60)}`,
  );
  t.regex((await find(t)) ?? '', /the oldest for 11 minutes/);
});

test.serial('one mail is enough while a worker reports the mail server', async (t) => {
  await insertFailed('one@a.test', since(11));
  for (const check of ['smtp', 'smtp_circuit']) {
    await context.rows(
      `insert into processes (id, service, host, pid, version, health)
       values (gen_random_uuid(), 'rollcall-worker', 'h', 1, '1', $1)`,
      [JSON.stringify({ [check]: { ok: false }, postgres: { ok: true } })],
    );
    t.regex((await find(t)) ?? '', /1 failed and wait/, check);
    await context.rows(`update processes set seen_at = ${ago(3)}`);
    t.is(await find(t), undefined, 'a worker that has vanished');
  }
});
