import test from 'ava';
import { readAdminDetails } from '../../api/ops/admin-search.service.js';
import type { AuditEventName } from '../../shared/models/index.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { runCli, runCliJson } from '../cli/run-cli.js';
import { openTestDatabase } from '../helpers/database.js';
import { insertAdmin } from '../workers/fixture.js';

shareProcess();

const context = useContext();

const inMinutes = (minutes: number): string =>
  new Date(Date.now() + minutes * 60_000).toISOString();

test('the locks of an admin that stand are shown; an operator lifts all, a mailed link or a new password those of the login alone', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const record = (event: AuditEventName, id: number, details = {}): Promise<unknown> =>
    context.rows(
      `insert into audit_events (id, event, admin_id, ip, details) values (gen_random_uuid(), $1, $2, '10.1.2.3', $3)`,
      [event, id, details],
    );
  const { adminId } = await insertAdmin(context);
  const other = await insertAdmin(context);
  const locksOf = async (id: number): Promise<string[]> =>
    (await readAdminDetails({ database }, { id })).locks.map(({ limit }) => limit);
  const lock = (id: number, limit: string, until: string): Promise<unknown> =>
    record('authn_login_lock', id, { limit, until });

  const until = inMinutes(40);
  await lock(adminId, 'password-account', until);
  await lock(adminId, 'password-session', inMinutes(10));
  await lock(adminId, 'password-network', inMinutes(-1));
  await lock(other.adminId, 'password-network', inMinutes(10));
  // As they were written before, and another event whose details are no time.
  await record('authn_login_lock', adminId);
  await record('email_suppressed', adminId, { until: 'a complaint' });
  t.deepEqual(await locksOf(adminId), ['password-account', 'password-session']);

  const { stdout } = await runCli(context, ['admins', 'show', String(adminId)]);
  t.regex(
    stdout,
    /LOCKED OUT until .* by the limit password-account, after attempts from 10\.1\.2\.3/,
  );
  t.regex(stdout, /`admins unlock \S+@\S+`/);
  const { json } = await runCliJson(context, ['admins', 'show', String(adminId)]);
  t.like(json['locks'], [{ limit: 'password-account', ip: '10.1.2.3', until }]);
  const { stdout: events } = await runCli(context, ['audit', '--admin', String(adminId)]);
  t.regex(events, /authn_login_lock .* limit=password-account  until=\d{4}-/);

  t.like(json['locks'], [{ count: 1 }, { count: 1 }]);

  for (const [event, details] of [
    ['authn_password_change', { by: 'mailed link' }],
    ['authn_password_change', {}],
    ['email_confirmed', {}],
  ] as const) {
    await record(event, adminId, details);
    t.deepEqual(await locksOf(adminId), ['password-session']);
    await lock(adminId, 'password-account', until);
    t.is((await locksOf(adminId)).length, 2, 'one after it stands');
  }
  t.deepEqual(await locksOf(other.adminId), ['password-network']);

  await record('authn_login_lock_lifted', adminId, { limit: 'password-session' });
  t.deepEqual(await locksOf(adminId), []);
  await lock(adminId, 'password-session', inMinutes(10));
  t.deepEqual(await locksOf(adminId), ['password-session'], 'one after it stands');
  t.deepEqual(await locksOf(other.adminId), ['password-network']);
});

test('of very many networks that are locked at once, the lock that lasts longest is read, and how many there are', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const { adminId } = await insertAdmin(context);
  await context.rows(
    `insert into audit_events (id, event, admin_id, ip, details)
     select gen_random_uuid(), 'authn_login_lock', $1, '10.' || n / 250 || '.' || n % 250 || '.1',
            jsonb_build_object('limit', 'password-network', 'until', now() + n * interval '100 ms')
       from generate_series(1001, 6000) n`,
    [adminId],
  );
  const { locks } = await readAdminDetails({ database }, { id: adminId });
  t.is(locks.length, 1);
  t.like(locks[0], { limit: 'password-network', count: 5_000, ip: '10.24.0.1' });
  const { stdout } = await runCli(context, ['admins', 'show', String(adminId)]);
  t.regex(stdout, /from 10\.24\.0\.1, and by 4999 more locks of that limit/);
});
