import test, { type ExecutionContext } from 'ava';
import { Redis } from 'ioredis';
import pg from 'pg';
import { sesEventsFor } from '../../dev/emulators/ses-events.js';
import { grantRights, makeLogins, migrateAsOwner } from '../../dev/deploy/database-roles.js';
import { apiGrants, redisRules, workerGrants } from '../../dev/documents/least-privilege.js';
import { tryWrite } from '../../shared/database/write-probe.js';
import { rotateAudit } from '../../workers/tasks/rotate-audit.js';
import { runCli } from '../cli/run-cli.js';
import { createAdmins, mailedToken } from '../helpers/admins.js';
import { createClient } from '../helpers/api-client.js';
import { useContext, type Scope } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { makeDatabaseRole } from '../helpers/database-role.js';
import { eventually } from '../helpers/eventually.js';
import { createFirehoseReader } from '../helpers/firehose.js';
import { ask } from '../helpers/http.js';
import { startApi, startWorker } from '../helpers/processes.js';
import { runApi, runWorker } from '../helpers/servers.js';
import { openFixture } from '../workers/fixture.js';

const context = useContext();

test.serial(
  'S79 the API works with a role that can write rows, and neither make nor change nor drop a table',
  async (t) => {
    const databaseUrl = await makeDatabaseRole(t, context, apiGrants);
    const api = await startApi(context, { scope: t, env: { DATABASE_URL: databaseUrl } });
    await startWorker(context, { scope: t });
    await liveAFullLife(api.url);
    await eventually(async () => (await createClient(api.url).get('/health/ready')).status === 200);
    t.false(api.stdout().includes('permission denied'));
    await giveEveryCommand(t, databaseUrl);

    await refuses(t, databaseUrl, [
      'create table mine (id integer)',
      'create schema mine',
      'alter table admins add column mine integer',
      'alter table admins disable trigger all',
      'drop table users',
      'truncate users',
      'create index mine on users (email)',
      'drop index users_admin_id_id',
      `create role mine`,
      `alter role ${context.id} superuser`,
      `copy users to program 'id'`,
      `select pg_read_file('/etc/passwd')`,
      `grant select on users to public`,
      `update audit_events set details = '{}'`,
      'delete from audit_events',
      'delete from audit_events_default',
      'select prepare_audit_month(0)',
      'select drop_old_audit_months()',
      `insert into schema_migrations (name) values ('mine')`,
      'delete from schema_migrations',
    ]);
    t.deepEqual(
      await context.rows(
        `select from information_schema.role_table_grants where grantee = 'PUBLIC' and table_schema = 'public'`,
      ),
      [],
    );
  },
);

test.serial(
  'S79 the worker works with a role that reads no secret, changes no mail, and can only turn the audit',
  async (t) => {
    const databaseUrl = await makeDatabaseRole(t, context, workerGrants);
    const api = await startApi(context, { scope: t });
    const worker = await startWorker(context, { scope: t, env: { DATABASE_URL: databaseUrl } });
    await liveAFullLife(api.url);
    const post = async (path: string, body = ''): Promise<Record<string, number>> => {
      const headers = { 'content-type': 'application/json' };
      const signal = AbortSignal.timeout(60_000);
      const answer = await ask(`${worker.url}${path}`, { method: 'POST', headers, body, signal });
      t.is(answer.status, 200, answer.text);
      return (JSON.parse(answer.text) as { result: Record<string, number> }).result;
    };

    const [mail] = await context.rows<{ id: string; recipient: string }>(
      `select id, recipient from outbox where outcome = 'sent' limit 1`,
    );
    const recipient = mail?.recipient ?? '';
    const [bounce] = sesEventsFor({
      recipient: 'bounce@simulator.amazonses.com',
      source: 'a@b.test',
      subject: '',
      tags: { outbox_id: mail?.id ?? '' },
    });
    const event = JSON.stringify(bounce).replaceAll('bounce@simulator.amazonses.com', recipient);
    await post('/sqs', event);
    t.is((await context.rows('select from suppressions')).length, 1);

    await insertExpired();
    const purged = await post('/tasks/purge-expired');
    for (const [kind, count] of Object.entries(purged))
      if (kind !== 'unfinished') t.true(count > 0, kind);
    await context.rows(
      `create table audit_events_2020_01 partition of audit_events
         for values from ('2020-01-01') to ('2020-02-01')`,
    );
    t.is((await post('/tasks/rotate-audit'))['dropped'], 1);
    await post('/tasks/sweep-outbox');
    await eventually(
      async () => (await createClient(worker.url).get('/health/ready')).status === 200,
    );
    t.false(worker.stdout().includes('permission denied'));

    await t.notThrowsAsync(tryWrite(openTestDatabase(t, databaseUrl)));
    await refuses(t, databaseUrl, [
      'create table mine (id integer)',
      'alter table outbox add column mine integer',
      'drop table audit_events_default',
      'truncate outbox',
      'select password_hash from admins',
      'select password_hash from registrations',
      'select refresh_hash from sessions',
      'select * from users',
      `update admins set email = 'mine@b.test'`,
      `update outbox set recipient = 'mine@b.test'`,
      `update outbox set payload = '{}'`,
      `insert into outbox (id, name, payload, trace_id) values (gen_random_uuid(), 'n', '{}', '')`,
      'update sessions set ended_at = null',
      `update confirmations set email = 'mine@b.test'`,
      `update audit_events set details = '{}'`,
      'delete from audit_events',
      'delete from audit_events_default',
      'delete from schema_migrations',
    ]);
    const client = await connect(t, databaseUrl);
    await t.throwsAsync(client.query('select prepare_audit_month(3)'), { code: '22023' });
  },
);

test.serial(
  'S79 an administrator who is no superuser makes the roles, migrates as their owner and grants; a worker that was the owner is no more',
  async (t) => {
    const [admin, api, worker] = ['a', 'b', 'c'].map((suffix) => `${context.id}${suffix}`) as [
      string,
      string,
      string,
    ];
    const as = (role: string): string =>
      Object.assign(new URL(context.databaseUrl), {
        username: role,
        password: role,
        pathname: admin,
      }).href;
    await context.rows(`create role ${admin} login createrole password '${admin}'`);
    await context.rows(`create database ${admin} owner ${admin}`);
    t.teardown(async () => {
      await context.rows(`drop database ${admin} with (force)`);
      for (const role of [api, worker, 'rollcall_owner', admin])
        await context.rows(`drop role if exists ${role}`);
    });
    const client = await connect(t, as(admin));
    const logins = [api, worker].map((role) => ({ role, password: role }));
    for (const _ of ['once', 'again']) {
      await makeLogins(client, logins);
      await client.query(`grant rollcall_owner to ${worker}`);
      await client.query(`alter role ${worker} set role rollcall_owner`);
      await migrateAsOwner(client);
      await grantRights(client, { api, worker });
    }
    const { rows: owners } = await client.query<{ owner: string }>(
      `select distinct pg_get_userbyid(relowner) as owner from pg_class where relnamespace = 'public'::regnamespace
       union select distinct pg_get_userbyid(proowner) from pg_proc where pronamespace = 'public'::regnamespace`,
    );
    t.deepEqual(owners, [{ owner: 'rollcall_owner' }]);
    const { rows: months } = await (
      await connect(t, as(worker))
    ).query('select prepare_audit_month(0) as made, drop_old_audit_months() as dropped');
    t.deepEqual(months, [{ made: true, dropped: 0 }]);
    await refuses(t, as(worker), ['set role rollcall_owner', 'create table mine (id integer)']);
    await refuses(t, as(api), ['set role rollcall_owner', 'select prepare_audit_month(0)']);
  },
);

test.serial(
  'S79 the API adds to the audit and changes nothing of it, whatever month is prepared',
  async (t) => {
    await makeDatabaseRole(t, context, apiGrants);
    await rotateAudit(openTestDatabase(t, context.databaseUrl));
    const rights = await context.rows<{ name: string; rights: string }>(
      `select c.relname as name, string_agg(p.privilege, ' ' order by p.privilege) as rights
         from pg_class c, unnest(array['delete', 'insert', 'select', 'update']) as p (privilege)
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
          and has_table_privilege($1, c.oid, p.privilege)
        group by 1`,
      [context.id],
    );
    const rightsOn = new Map(rights.map((each) => [each.name, each.rights]));
    t.is(rightsOn.get('audit_events'), 'insert select');
    t.is(rightsOn.get('schema_migrations'), 'select');
    const tables = await context.rows<{ name: string }>(
      `select relname as name from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`,
    );
    t.deepEqual(
      [...rightsOn.keys()].toSorted(),
      tables.map(({ name }) => name).toSorted(),
      'every table, and no month of the audit',
    );
  },
);

test.serial(
  'S79 both processes work with a Redis user of their own keys, and without a command that administers',
  async (t) => {
    const redisUrl = await makeRedisUser(t);
    const env = { REDIS_URL: redisUrl };
    const api = await runApi(context, { scope: t, env });
    const worker = await runWorker(context, { scope: t, env });
    await liveAFullLife(api.url);
    const { requestId } = await createClient(api.url).get('/health/live');
    await createFirehoseReader(context).waitForRecord(
      (record) => record['http.request.id'] === requestId,
    );
    await eventually(async () => (await createClient(api.url).get('/health/ready')).status === 200);
    await worker.stop();
    for (const { stdout } of [api, worker]) t.notRegex(stdout(), /NOPERM|WRONGPASS/);

    const redis = new Redis(redisUrl);
    t.teardown(() => redis.disconnect());
    for (const command of [
      ['config', 'get', '*'],
      ['flushall'],
      ['flushdb'],
      ['keys', '*'],
      ['acl', 'list'],
      ['shutdown', 'nosave'],
      ['replicaof', 'evil.test', '6379'],
      ['get', 'somebody-else'],
      ['set', '{throttles}:x', '1'],
      ['eval', "return redis.call('get', 'somebody-else')", '0'],
      ['eval', "return redis.call('flushall')", '0'],
    ] as const) {
      const [name, ...args] = command;
      const error = await t.throwsAsync(redis.call(name, ...args), undefined, command.join(' '));
      t.regex(error?.message ?? '', /NOPERM|ACL|can't (?:access|run)/, command.join(' '));
    }
  },
);

/** Registers, is mailed, confirms, logs in, works, and leaves. */
async function liveAFullLife(url: string): Promise<void> {
  const client = createClient(url);
  const admin = await createAdmins(context, client, mailedToken(context)).confirmedAdmin();
  const { body } = await admin.client.post<{ id: number }>('/users', { email: 'a@x.test' });
  await admin.client.put(`/users/${body.id}`, { name: 'x' });
  await admin.client.get('/users');
  await admin.client.delete(`/users/${body.id}`);
  await client.post('/auth/refresh', { refresh_token: admin.login.refresh_token });
  await client.post('/auth/password/forgot', { email: admin.email });
  await eventually(
    async () => (await context.rows(`select from outbox where state <> 'settled'`)).length === 0,
    { of: 'every mail being sent' },
  );
  await admin.client.delete('/auth/me', { json: { current_password: admin.password } });
}

/** What is over for more than a month, or a year: one row of each kind that has not one already. */
async function insertExpired(): Promise<void> {
  for (const statement of [
    `update outbox set settled_at = now() - interval '31 days'
      where id in (select id from outbox where state = 'settled' limit 1)`,
    `insert into outbox (id, name, payload, trace_id, state, given_up_at)
     values (gen_random_uuid(), 'send-security-notice', '{"admin_id": 0}', '', 'dead', now() - interval '31 days')`,
    `update sessions set ended_at = now() - interval '31 days'`,
    `update admins set pending_email = 'a@b.test', updated_at = now() - interval '1 day'`,
    `insert into sessions (admin_id, refresh_nonce, refresh_hash, expires_at)
     select id, '', '', now() - interval '31 days' from admins`,
    `insert into confirmations (id, purpose, email, email_canonical, nonce, expires_at)
     values (gen_random_uuid(), 'registration', 'a@b.test', 'a@b.test', '', now() - interval '31 days')`,
    `insert into registrations (id, email, email_canonical, name, name_canonical, password_hash, created_at)
     values (gen_random_uuid(), 'a@b.test', 'a@b.test', 'a', 'a', '', now() - interval '31 days')`,
    `update suppressions set created_at = now() - interval '2 years'`,
    `insert into mail_events (id, provider_id, type, at, received_at, fingerprint)
     values (gen_random_uuid(), 'p', 'bounced', now(), now() - interval '31 days', 'f')`,
    `insert into metric_minutes (name, minute, value) values ('m', now() - interval '31 days', 1)`,
    `insert into processes (id, service, host, pid, version, seen_at)
     values (gen_random_uuid(), 'rollcall-api', 'h', 1, '1', now() - interval '31 days')`,
    `insert into alerts (id, name, detail, cleared_at)
     values (gen_random_uuid(), 'redis_down', '', now() - interval '31 days')`,
    `insert into bulk_actions (id, action, filter, rate, reason, trace_id, total, created_at, finished_at)
     values (gen_random_uuid(), 'redrive', '{}', 1, '', '', 0, now() - interval '31 days', now() - interval '31 days')`,
  ])
    await context.rows(statement);
}

async function connect(scope: Scope, url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  scope.teardown(() => client.end());
  return client;
}

/** Each for want of a right. */
async function refuses(
  t: ExecutionContext,
  databaseUrl: string,
  statements: readonly string[],
): Promise<void> {
  const client = await connect(t, databaseUrl);
  for (const statement of statements) {
    const { code } = (await client.query(statement).then(
      () => ({ code: 'done' }),
      (error: unknown) => error,
    )) as { code: string };
    // A grant by somebody who may not is ignored with a warning, where it is not refused.
    if (!statement.startsWith('grant')) t.is(code, '42501', statement);
  }
}

/** What the command line does in the database. */
async function giveEveryCommand(t: ExecutionContext, databaseUrl: string): Promise<void> {
  const fixture = await openFixture(t, context);
  const { id, email } = await fixture.promiseConfirmation({
    purpose: 'password_reset',
    message: { state: 'dead' },
  });
  await context.rows(
    `insert into suppressions (email_canonical, reason) values ($1, 'complaint')`,
    [email],
  );
  for (const args of [
    ['mail', 'show', email],
    ['mail', 'dead'],
    ['mail', 'redrive', id],
    ['mail', 'redrive', '--all'],
    ['mail', 'causes'],
    ['admins', 'unlock', email],
    ['mail', 'actions'],
    ['mail', 'suppressed'],
    ['mail', 'unsuppress', email],
    ['outbox'],
    ['operator', 'grant', email],
    ['operator', 'revoke', email],
    ['sessions', 'end', email],
    ['admins', 'show', email],
    ['admins', 'search', 'a'],
    ['users', 'list'],
    ['schedule', 'run', 'rotate-audit'],
    ['schedule'],
    ['processes'],
    ['audit', '--csv'],
    ['queues', 'pause', 'logs'],
    ['queues', 'resume', 'logs'],
  ]) {
    const { code, stderr } = await runCli(context, args, { DATABASE_URL: databaseUrl });
    t.is(code, 0, `${args.join(' ')}: ${stderr}`);
  }
}

async function makeRedisUser(scope: Scope): Promise<string> {
  const { id, redisUrl } = context;
  const redis = new Redis(redisUrl);
  await redis.set('somebody-else', 'not yours');
  await redis.call('ACL', 'SETUSER', id, 'on', `>${id}`, ...redisRules);
  scope.teardown(async () => {
    await redis.call('ACL', 'DELUSER', id);
    redis.disconnect();
  });
  return Object.assign(new URL(redisUrl), { username: id, password: id }).href;
}
