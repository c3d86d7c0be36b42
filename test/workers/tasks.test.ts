import { randomUUID } from 'node:crypto';
import test from 'ava';
import { isTaskName } from '../../shared/tasks/catalogue.js';
import { createTaskRuns } from '../../workers/tasks/task-runs.js';
import { createTasks } from '../../workers/tasks/tasks.js';
import type { SweepResult } from '../../workers/relay/sweep.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { insertAdmin, insertMessage, openFixture, type Fixture } from './fixture.js';

shareProcess();

const context = useContext();
const daysAgo = (days: number): string => `now() - interval '${days} days'`;

test.serial(
  'purge-expired deletes what ended more than 30 days ago, and nothing else',
  async (t) => {
    const { fixture, tasks } = await setUp(t);
    await fixture.promiseConfirmation({ message: { state: 'dead', createdAt: daysAgo(90) } });
    const { adminId } = await insertAdmin(context);
    await context.rows('delete from confirmations');

    const oldMessage = await insertSettled(31);
    const newMessage = await insertSettled(29);
    await context.rows(
      `insert into deliveries (outbox_id, attempt, worker) values ($1, 1, 'w'), ($2, 1, 'w')`,
      [oldMessage, newMessage],
    );
    await insertConfirmation(adminId, { expiresAt: daysAgo(31) });
    await insertConfirmation(adminId, { expiresAt: daysAgo(29), supersededAt: 'now()' });
    await insertConfirmation(adminId, { expiresAt: daysAgo(31), confirmedAt: daysAgo(31) });
    await insertSession(adminId, { expiresAt: daysAgo(31) });
    await insertSession(adminId, { expiresAt: `now() + interval '1 day'`, endedAt: daysAgo(31) });
    await insertSession(adminId, { expiresAt: daysAgo(29) });
    await insertSession(adminId, { expiresAt: `now() + interval '1 day'`, endedAt: daysAgo(29) });
    await insertSession(adminId, { expiresAt: `now() + interval '1 day'` });

    await context.rows(
      `insert into alerts (id, name, detail, cleared_at)
       values ($1, 'a', '', ${daysAgo(31)}), ($2, 'b', '', ${daysAgo(29)}), ($3, 'c', '', null)`,
      [randomUUID(), randomUUID(), randomUUID()],
    );

    await context.rows(
      `insert into bulk_actions (id, action, filter, rate, reason, trace_id, total, created_at, finished_at)
       select gen_random_uuid(), 'redrive', '{}', 1, '', 'x', 1, ${daysAgo(31)}, finished
         from (values (${daysAgo(31)}), (${daysAgo(29)}), (null)) as each (finished)`,
    );

    t.deepEqual(await tasks.run('purge-expired'), {
      messages: 1,
      dead_letters: 0,
      confirmations: 1,
      sessions: 2,
      pending_emails: 0,
      registrations: 0,
      mail_events: 0,
      suppressions: 0,
      metric_minutes: 0,
      processes: 0,
      alerts: 1,
      bulk_actions: 1,
      unfinished: 0,
    });
    t.deepEqual(await tasks.run('purge-expired'), {
      messages: 0,
      dead_letters: 0,
      confirmations: 0,
      sessions: 0,
      pending_emails: 0,
      registrations: 0,
      mail_events: 0,
      suppressions: 0,
      metric_minutes: 0,
      processes: 0,
      alerts: 0,
      bulk_actions: 0,
      unfinished: 0,
    });
    t.is((await fixture.messageOf(newMessage)).state, 'settled');
    t.is(await count('outbox'), 2, 'the new one and the dead one');
    t.is(await count('deliveries'), 1);
    t.is(await count('confirmations'), 2);
    t.is(await count('sessions'), 3);
  },
);

test.serial('purge-expired goes on until nothing is left, batch by batch', async (t) => {
  const { tasks } = await setUp(t);
  await context.rows(
    `insert into outbox (id, name, payload, trace_id, state, settled_at)
     select gen_random_uuid(), 'x', '{}', 'x', 'settled', ${daysAgo(40)} from generate_series(1, 2100)`,
  );
  t.like(await tasks.run('purge-expired'), { messages: 2_100 });
});

test.serial(
  'a task that is called while it runs is joined, not run twice; later it is run anew',
  async (t) => {
    const { fixture } = await setUp(t);
    let runs = 0;
    let finish: (result: SweepResult) => void = () => undefined;
    const sweep = {
      run: () => {
        runs += 1;
        return new Promise<SweepResult>((resolve) => {
          finish = resolve;
        });
      },
    };
    const tasks = createTasks({ ...depsOf(fixture), sweep });
    const both = [tasks.run('sweep-outbox'), tasks.run('sweep-outbox')];
    const swept = { checked: 1, returned: 2, dead_lettered: 3 };
    finish(swept);
    t.deepEqual(await Promise.all(both), [swept, swept]);
    t.is(runs, 1);
    t.deepEqual(fixture.messages(), ['task completed']);
    const again = tasks.run('sweep-outbox');
    finish(swept);
    await again;
    t.is(runs, 2);
  },
);

test.serial('a task that failed can be run again', async (t) => {
  const { fixture } = await setUp(t);
  let runs = 0;
  const tasks = createTasks({
    ...depsOf(fixture),
    sweep: {
      run: async () => {
        runs += 1;
        if (runs === 1) throw new Error('no');
        return { checked: 0, returned: 0, dead_lettered: 0 };
      },
    },
  });
  await t.throwsAsync(tasks.run('sweep-outbox'), { message: 'no' });
  t.truthy(await tasks.run('sweep-outbox'));
});

test.serial(
  'a run is one line, with a field for each count and the request that asked',
  async (t) => {
    const { fixture, tasks } = await setUp(t);
    await tasks.run('sweep-outbox', 'my-request-1');
    await tasks.run('purge-expired');
    const [asked, unasked] = fixture.lines;
    t.like(asked, {
      msg: 'task completed',
      'labels.task': 'sweep-outbox',
      'labels.checked': 0,
      'labels.returned': 0,
      'labels.dead_lettered': 0,
      'event.outcome': 'success',
      'http.request.id': 'my-request-1',
    });
    t.true(Number(asked?.['event.duration']) > 0);
    t.like(unasked, { 'labels.task': 'purge-expired', 'labels.mail_events': 0 });
    t.false(Object.hasOwn(unasked ?? {}, 'http.request.id'));
  },
);

test('there are three tasks, and no other', (t) => {
  for (const name of ['sweep-outbox', 'purge-expired', 'rotate-audit']) t.true(isTaskName(name));
  for (const name of ['nope', 'toString', '']) t.false(isTaskName(name));
});

test.serial(
  'purge-expired deletes a batch of each kind in turn, and says when it has not finished',
  async (t) => {
    const { fixture, tasks } = await setUp(t);
    await context.rows(
      `insert into outbox (id, name, payload, trace_id, state, settled_at)
     select gen_random_uuid(), 'x', '{}', 'x', 'settled', ${daysAgo(40)} from generate_series(1, 2100)`,
    );
    await context.rows(
      `insert into processes (id, service, host, pid, version, seen_at)
     values (gen_random_uuid(), 'x', 'x', 1, 'x', ${daysAgo(40)})`,
    );
    let stopped: Promise<void> | undefined;
    fixture.database.addHook('afterQuery', (_options, query) => {
      // The last kind of the first turn.
      if ('sql' in query && String(query.sql).includes('delete from bulk_actions'))
        stopped ??= tasks.stop();
    });
    t.like(await tasks.run('purge-expired'), { messages: 1_000, processes: 1, unfinished: 1 });
    await stopped;
    await context.rows('delete from outbox');
  },
);

test.serial('a task that is stopped ends after the batch that it is at', async (t) => {
  const { fixture, tasks } = await setUp(t);
  await context.rows(
    `insert into outbox (id, name, payload, trace_id, state, settled_at)
     select gen_random_uuid(), 'x', '{}', 'x', 'settled', ${daysAgo(40)} from generate_series(1, 2100)`,
  );
  const before = await count('outbox');
  let stopped: Promise<void> | undefined;
  fixture.database.addHook('afterQuery', () => {
    stopped ??= tasks.stop();
  });
  t.like(await tasks.run('purge-expired'), { messages: 1_000, confirmations: 0 });
  await stopped;
  t.is(await count('outbox'), before - 1_000);
  t.deepEqual(await tasks.run('rotate-audit'), { prepared: 0, dropped: 0 });
  t.deepEqual(fixture.messages(), [], 'neither is done');
  await context.rows('delete from outbox');
});

test.serial('a stop waits for the run under way', async (t) => {
  const { fixture } = await setUp(t);
  let hasEnded = false;
  const tasks = createTasks({
    ...depsOf(fixture),
    sweep: {
      run: ({ signal } = {}) =>
        new Promise<SweepResult>((resolve) => {
          signal?.addEventListener('abort', () => {
            hasEnded = true;
            resolve({ checked: 0, returned: 0, dead_lettered: 0 });
          });
        }),
    },
  });
  const run = tasks.run('sweep-outbox');
  await tasks.stop();
  t.true(hasEnded);
  await run;
  await tasks.stop();
});

function depsOf({ database, log }: Fixture) {
  return { database, log, runs: createTaskRuns({ database, log, worker: 'host:1' }) };
}

async function setUp(scope: Scope) {
  const fixture = await openFixture(scope, context);
  const sweep = { run: async () => ({ checked: 0, returned: 0, dead_lettered: 0 }) };
  return { fixture, tasks: createTasks({ ...depsOf(fixture), sweep }) };
}

async function insertSettled(days: number): Promise<string> {
  const id = await insertMessage(context, null, 'send-confirmation-mail', {}, { state: 'settled' });
  await context.rows(`update outbox set settled_at = ${daysAgo(days)} where id = $1`, [id]);
  return id;
}

function insertConfirmation(
  adminId: number,
  times: { expiresAt: string; confirmedAt?: string; supersededAt?: string },
): Promise<unknown> {
  const { expiresAt, confirmedAt = 'null', supersededAt = 'null' } = times;
  return context.rows(
    `insert into confirmations (id, admin_id, purpose, email, email_canonical, nonce, expires_at, confirmed_at, superseded_at)
     values ($1, $2, 'registration', 'a@x.example', 'a@x.example', '', ${expiresAt}, ${confirmedAt}, ${supersededAt})`,
    [randomUUID(), adminId],
  );
}

function insertSession(
  adminId: number,
  times: { expiresAt: string; endedAt?: string },
): Promise<unknown> {
  const { expiresAt, endedAt = 'null' } = times;
  return context.rows(
    `insert into sessions (admin_id, refresh_nonce, refresh_hash, expires_at, ended_at)
     values ($1, '', '', ${expiresAt}, ${endedAt})`,
    [adminId],
  );
}

async function count(table: string): Promise<number> {
  const [row] = await context.rows<{ n: number }>(`select count(*)::int as n from ${table}`);
  return row?.n ?? -1;
}

test.serial(
  'purge-expired deletes registrations that nobody has confirmed for a month',
  async (t) => {
    const { fixture, tasks } = await setUp(t);
    const forgotten = await fixture.promiseConfirmation();
    const recent = await fixture.promiseConfirmation();
    const age = async (email: string, days: number): Promise<unknown> =>
      context.rows(`update registrations set created_at = ${daysAgo(days)} where email = $1`, [
        email,
      ]);
    const resent = await fixture.promiseConfirmation();
    await context.rows(`update confirmations set expires_at = ${daysAgo(1)} where email = $1`, [
      forgotten.email,
    ]);
    await age(forgotten.email, 31);
    await age(recent.email, 29);
    // Its last link was mailed yesterday.
    await age(resent.email, 31);

    t.like(await tasks.run('purge-expired'), { registrations: 1 });

    const left = await context.rows(
      'select email from registrations where email = any($1) order by created_at desc',
      [[forgotten.email, recent.email, resent.email]],
    );
    t.deepEqual(left, [{ email: recent.email }, { email: resent.email }]);
  },
);

test.serial(
  'rotate-audit prepares months ahead, keeps what came before, and drops old months',
  async (t) => {
    const { tasks } = await setUp(t);
    const insert = (at: string): Promise<unknown> =>
      context.rows(
        `insert into audit_events (id, at, event) values (gen_random_uuid(), ${at}, 'user_created')`,
      );
    await insert('now()');
    await insert(`now() - interval '20 months'`);

    t.deepEqual(await tasks.run('rotate-audit'), { prepared: 3, dropped: 0 });
    t.deepEqual(await tasks.run('rotate-audit'), { prepared: 0, dropped: 0 });
    t.is(await count('audit_events'), 1, 'the one of this month has moved, the old one is gone');
    t.is(await count('audit_events_default'), 0);

    await context.rows(
      `create table audit_events_2020_01 partition of audit_events
       for values from ('2020-01-01') to ('2020-02-01')`,
    );
    t.deepEqual(await tasks.run('rotate-audit'), { prepared: 0, dropped: 1 });
  },
);

test.serial(
  'purge-expired forgets events about unknown mails after 30 days, bounces after a year, complaints never',
  async (t) => {
    const { fixture, tasks } = await setUp(t);
    const { id } = await fixture.promiseConfirmation();
    const insertEvent = (outboxId: string | null, days: number) =>
      context.rows(
        `insert into mail_events (id, outbox_id, provider_id, type, at, received_at, fingerprint)
         values (gen_random_uuid(), $1, 'p', 'bounced', now(), ${daysAgo(days)}, gen_random_uuid()::text)`,
        [outboxId],
      );
    await insertEvent(null, 31);
    await insertEvent(null, 29);
    await insertEvent(id, 300);
    await context.rows(
      `insert into suppressions (email_canonical, reason, created_at) values
         ('a@x.test', 'bounce', ${daysAgo(367)}), ('b@x.test', 'bounce', ${daysAgo(360)}), ('c@x.test', 'complaint', ${daysAgo(999)})`,
    );
    t.like(await tasks.run('purge-expired'), { mail_events: 1, suppressions: 1 });
    t.is(await count('mail_events'), 2);
    t.is(await count('suppressions'), 2);
    await context.rows('delete from outbox where id = $1', [id]);
    t.is(await count('mail_events'), 1, 'events go with their message');
  },
);
