import test, { type ExecutionContext } from 'ava';
import pg from 'pg';
import {
  readAdminDetails,
  searchAdmins,
  searchRegistrations,
} from '../../api/ops/admin-search.service.js';
import { readAuditEvents, type AuditFilter } from '../../api/ops/audit-trail.service.js';
import { listSuppressions } from '../../api/ops/mail/suppressions.service.js';
import { searchUsers, type UserFilter } from '../../api/ops/user-search.service.js';
import { listSessions } from '../../api/sessions/sessions.service.js';
import { useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';

const context = useContext();

interface Sent {
  readonly text: string;
  readonly values: unknown[];
}

/** The statements that were sent to PostgreSQL. */
const sent: Sent[] = [];
const { query } = pg.Client.prototype;
pg.Client.prototype.query = function recordSent(this: pg.Client, ...args: unknown[]) {
  const [text, values] = args;
  if (typeof text === 'string') sent.push({ text, values: Array.isArray(values) ? values : [] });
  return Reflect.apply(query, this, args) as unknown;
} as typeof query;

const ROWS = 20_000;
/** An eighth of a table, and more than any of these reads needs. */
const MAX_ROWS_READ = 2_500;
const page = { limit: 50 };
/** An admin with the oldest 12,000 users and sessions: the planner knows that it has many, not where they are. */
const BUSY = 100;
/** One of those who have one of each. */
const QUIET = 15_000;

test.serial.before('fill the tables', async () => {
  await context.rows(`insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at)
    select address, address, 'N' || n, 'n' || n, '', now()
      from generate_series(1, ${ROWS}) n, lateral (select 'admin' || n || '@x.test') a (address)`);
  await context.rows(`insert into users (admin_id, email, email_canonical, name)
    select case when n <= 12000 then ${BUSY} else n end, address, address, case when n % 2 = 0 then 'Person ' || n end
      from generate_series(1, ${ROWS}) n, lateral (select 'user' || n || '@x.test') a (address)`);
  await context.rows(`insert into sessions (admin_id, refresh_nonce, refresh_hash, expires_at)
    select case when n <= 12000 then ${BUSY} else n end, '', '', now() + interval '1 day' from generate_series(1, ${ROWS}) n`);
  await context.rows(`insert into registrations (id, email, email_canonical, name, name_canonical, password_hash, created_at)
    select gen_random_uuid(), 'r' || n % 15000 || '@x.test', 'r' || n % 15000 || '@x.test', 'N', 'n', '', now() - n * interval '1 second'
      from generate_series(1, ${ROWS}) n`);
  await context.rows(`insert into mail_events (id, provider_id, type, at, fingerprint, detail)
    select md5(n::text)::uuid, 'p', 'bounced', now(), n, 'detail ' || n from generate_series(1, ${ROWS}) n`);
  await context.rows(`insert into suppressions (email_canonical, reason, created_at, event_id)
    select 's' || n || '@x.test', 'bounce', now() - n * interval '1 second', md5(n::text)::uuid from generate_series(1, ${ROWS}) n`);
  await context.rows(`insert into audit_events (id, at, event, details)
    select uuidv7(at - now()), at, 'task_requested',
           case when n % 100 = 0 then jsonb_build_object('operator_id', n % 5000, 'reason', 'r') else '{"reason": "a text"}' end
      from generate_series(1, ${ROWS}) n, lateral (select now() - n * interval '10 minutes') a (at)`);
  // As in most databases: by this collation the keys do not find prefixes, while by that of the local stack they do.
  for (const column of [
    'users.email_canonical',
    'admins.email_canonical',
    'suppressions.email_canonical',
  ])
    await context.rows(
      `alter table ${column.replace('.', ' alter column ')} type text collate "en-x-icu"`,
    );
  await context.rows('vacuum analyze');
});

test.serial('the sessions of one admin are read without those of others', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const { sessions } = await readsFew(t, () => readAdminDetails({ database }, { id: BUSY }));
  for (const list of [await readsFew(t, () => listSessions(BUSY)), sessions])
    t.deepEqual(
      list.map(({ id }) => id),
      range(11_901, 12_000).toReversed(),
    );
});

test.serial(
  'users are found by prefix, and one admin’s from any cursor on, by index',
  async (t) => {
    const database = openTestDatabase(t, context.databaseUrl);
    const find = (filter: UserFilter, cursor?: string) =>
      readsFew(t, () => searchUsers({ database }, filter, { ...page, cursor }));
    t.deepEqual((await find({ prefix: 'nobody' })).rows, []);
    t.deepEqual((await find({ prefix: 'user%' })).rows, []);
    t.deepEqual(idsOf(await find({ prefix: ' USER1999' })), [1_999, ...range(19_990, 19_999)]);
    t.deepEqual(idsOf(await find({ prefix: 'person 19998' })), [19_998]);
    t.deepEqual(idsOf(await find({ prefix: 'user', adminId: QUIET })), [QUIET]);
    t.deepEqual((await find({ prefix: 'nobody', adminId: BUSY })).rows, []);

    const first = await find({ prefix: 'user' });
    t.deepEqual(idsOf(first), range(1, 50));
    t.deepEqual(idsOf(await find({ prefix: 'user' }, first.next ?? '')), range(51, 100));
    const own = await find({ adminId: BUSY });
    t.deepEqual(idsOf(own), range(1, 50));
    t.deepEqual(idsOf(await find({ adminId: BUSY }, own.next ?? '')), range(51, 100));
    const end = await find({ adminId: BUSY }, cursorAfter(11_990));
    t.deepEqual([idsOf(end), end.next], [range(11_991, 12_000), null]);
  },
);

test.serial('admins are found by prefix by index', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const find = (text: string) => readsFew(t, () => searchAdmins({ database }, text, page));
  t.deepEqual((await find('nobody')).rows, []);
  t.deepEqual(idsOf(await find('Admin1999')), [1_999, ...range(19_990, 19_999)]);
  t.deepEqual(idsOf(await find('n19999')), [19_999]);
  t.deepEqual(idsOf(await find('')), range(1, 50));
});

test.serial('without a text, only the newest registrations are grouped', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const found = await readsFew(t, () => searchRegistrations({ database }, ' '));
  t.deepEqual(
    found.map(({ email, times }) => [email, times]),
    range(1, 50).map((n) => [`r${n}@x.test`, 2]),
  );
});

test.serial('the events of suppressed addresses are looked up for one page', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const first = await readsFew(t, () => listSuppressions({ database }, page));
  const second = await readsFew(t, () =>
    listSuppressions({ database }, { ...page, cursor: first.next ?? '' }),
  );
  t.deepEqual(
    [...first.rows, ...second.rows].map(({ address, detail }) => [address, detail]),
    range(1, 100).map((n) => [`s${n}@x.test`, `detail ${n}`]),
  );
  const found = await listSuppressions({ database }, { ...page, prefix: 'S1999' });
  t.deepEqual(
    found.rows.map(({ address }) => address),
    [1_999, ...range(19_990, 19_999)].map((n) => `s${n}@x.test`),
  );
});

test.serial('suppressed addresses are found by prefix by index', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const find = (prefix: string) =>
    readsFew(t, () => listSuppressions({ database }, { ...page, prefix }));
  t.deepEqual((await find('nobody')).rows, []);
  t.deepEqual((await find('s%')).rows, []);
  t.deepEqual(
    (await find('S19999')).rows.map(({ address }) => address),
    ['s19999@x.test'],
  );
});

test.serial(
  'the audit is read by operator by index, and a text is looked for in seven days',
  async (t) => {
    const database = openTestDatabase(t, context.databaseUrl);
    const find = (filter: AuditFilter) =>
      readsFew(t, () => readAuditEvents({ database }, filter, page));
    t.deepEqual((await find({ operatorId: 999_999 })).rows, []);
    t.deepEqual(
      (await find({ operatorId: 100 })).rows.map(({ at }) => minutesAgo(at)),
      [100, 5_100, 10_100, 15_100].map((n) => 10 * n),
    );
    t.is((await find({ text: 'A TEXT' })).rows.length, 50);
    t.deepEqual((await find({ text: 'nothing has it' })).rows, []);

    const text = '"operator_id": 1100';
    const count = async (filter: AuditFilter): Promise<number> =>
      (await readAuditEvents({ database }, filter, page)).rows.length;
    t.is(await count({ text }), 0, 'the newest is 7.6 days old');
    t.is(await count({ text, since: new Date(0) }), 4);
    t.is(await count({ text, until: minutesBefore(1_440) }), 1);
    t.is(await count({ text, until: minutesBefore(-14_400) }), 0);
  },
);

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

const idsOf = ({ rows }: { readonly rows: readonly { readonly id: number }[] }): number[] =>
  rows.map(({ id }) => id);

const cursorAfter = (id: number): string =>
  Buffer.from(JSON.stringify([String(id)])).toString('base64url');

const minutesBefore = (minutes: number): Date => new Date(Date.now() - 60_000 * minutes);

/** To ten minutes, since the rows were made a moment ago. */
const minutesAgo = (at: Date): number => Math.floor((Date.now() - at.getTime()) / 600_000) * 10;

interface PlanNode {
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** Runs a read, and its last statement once more to see how many rows the steps of its plan read. */
async function readsFew<R>(t: ExecutionContext, read: () => Promise<R>): Promise<R> {
  sent.length = 0;
  const result = await read();
  const { text, values } = sent.findLast((each) => / from /i.test(each.text)) ?? {
    text: '',
    values: [],
  };
  const [row] = await context.rows<{ 'QUERY PLAN': readonly { readonly Plan: PlanNode }[] }>(
    `explain (analyze, format json) ${text}`,
    values,
  );
  const plan = row?.['QUERY PLAN'][0]?.Plan;
  const count = plan ? mostRows(plan) : Infinity;
  t.true(count <= MAX_ROWS_READ, `${count} rows: ${text}\n${JSON.stringify(plan, null, 1)}`);
  return result;
}

function mostRows(node: PlanNode): number {
  const rows = node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0);
  return Math.max(rows * node['Actual Loops'], ...(node.Plans ?? []).map(mostRows));
}
