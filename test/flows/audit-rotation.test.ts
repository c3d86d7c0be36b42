import test from 'ava';
import pg from 'pg';
import { rotateAudit } from '../../workers/tasks/rotate-audit.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';

const context = useContext();
const api = useApi(context);

test.serial(
  'a month that is prepared while somebody logs in refuses nobody and loses no event',
  async (t) => {
    const admin = await api.admins.confirmedAdmin();
    const database = openTestDatabase(t, context.databaseUrl);
    const obstacle = new pg.Client({ connectionString: context.databaseUrl });
    await obstacle.connect();
    t.teardown(() => obstacle.end());

    // Somebody who is about to make next month's table holds the rotation up; nobody else shall wait for it.
    const next = new Date();
    next.setUTCDate(1);
    next.setUTCMonth(next.getUTCMonth() + 1);
    await obstacle.query('begin');
    await obstacle.query(
      `create table audit_events_${next.toISOString().slice(0, 7).replace('-', '_')} (id int)`,
    );
    const rotation = rotateAudit(database);
    await eventually(() => isWaiting('select prepare_audit_month%'), {
      of: 'the rotation being held up',
    });
    const login = await api.client.post('/auth/login', {
      email: admin.email,
      password: admin.password,
    });
    t.is(login.status, 200);
    await obstacle.query('rollback');

    t.true((await rotation).prepared > 0);
    const events = await context.rows(
      `select 1 from audit_events where admin_id = $1 and event like 'authn_login%'`,
      [admin.id],
    );
    t.is(events.length, 2);
  },
);

test.serial('an event that comes while its own month is attached is written to it', async (t) => {
  const month = `audit_events_${new Date().toISOString().slice(0, 7).replace('-', '_')}`;
  await context.rows(`drop table if exists ${month}`);
  const admin = await api.admins.confirmedAdmin();
  const database = openTestDatabase(t, context.databaseUrl);
  let login: Promise<{ readonly status: number }> | undefined;
  database.addHook('afterQuery', async () => {
    if (login || !(await isBeingAttached())) return;
    login = api.client.post('/auth/login', { email: admin.email, password: admin.password });
    await eventually(() => isWaiting('%insert into audit_events%'), { of: 'the login waiting' });
  });

  t.deepEqual(await rotateAudit(database), { prepared: 1, dropped: 0 });
  t.is((await login)?.status, 200);
  const events = await context.rows(
    `select 1 from ${month} where admin_id = $1 and event like 'authn_login%'`,
    [admin.id],
  );
  t.is(events.length, 2);
});

test.serial('a query that comes while a month is attached finds every event', async (t) => {
  const month = `audit_events_${new Date().toISOString().slice(0, 7).replace('-', '_')}`;
  await context.rows(`drop table if exists ${month}`);
  const admin = await api.admins.confirmedAdmin();
  const read = 'select event from audit_events where admin_id = $1';
  const before = await context.rows(read, [admin.id]);
  t.true(before.length > 0);
  const database = openTestDatabase(t, context.databaseUrl);
  let during: ReturnType<typeof context.rows> | undefined;
  database.addHook('afterQuery', async () => {
    if (during || !(await isBeingAttached())) return;
    during = context.rows(read, [admin.id]);
    await eventually(() => isWaiting(`${read}%`), { of: 'the query waiting' });
  });

  t.deepEqual(await rotateAudit(database), { prepared: 1, dropped: 0 });
  t.deepEqual(await during, before);
});

test.serial(
  'a month that cannot be attached does not keep those after it from being',
  async (t) => {
    for (const month of await monthsOf()) await context.rows(`drop table ${month}`);
    const month = `audit_events_${new Date().toISOString().slice(0, 7).replace('-', '_')}`;
    await context.rows(`create table ${month} (id int)`);
    const database = openTestDatabase(t, context.databaseUrl);

    await t.throwsAsync(rotateAudit(database), { message: /already exists/ });
    t.is((await monthsOf()).length, 2);

    await context.rows(`drop table ${month}`);
    t.deepEqual(await rotateAudit(database), { prepared: 1, dropped: 0 });
  },
);

/** The partitions of the audit that hold a month. */
async function monthsOf(): Promise<string[]> {
  const rows = await context.rows<{ name: string }>(
    `select inhrelid::regclass::text as name from pg_inherits
      where inhparent = 'audit_events'::regclass and inhrelid <> 'audit_events_default'::regclass`,
  );
  return rows.map(({ name }) => name);
}

/** A transaction that has run the statement last, and not ended yet, holds the audit. */
const isBeingAttached = (): Promise<boolean> =>
  isActivity(
    `state = 'idle in transaction' and pid in (
       select pid from pg_locks where relation = 'audit_events'::regclass and mode = 'AccessExclusiveLock' and granted)`,
    'select prepare_audit_month%',
  );

const isWaiting = (statement: string): Promise<boolean> =>
  isActivity(`wait_event_type = 'Lock'`, statement);

async function isActivity(condition: string, statement: string): Promise<boolean> {
  const found = await context.rows(
    `select from pg_stat_activity where datname = current_database() and ${condition} and query ilike $1`,
    [statement],
  );
  return found.length > 0;
}
