import test, { type ExecutionContext } from 'ava';
import { Redis } from 'ioredis';
import pg from 'pg';
import { databaseGrants, redisRules } from '../../dev/documents/least-privilege.js';
import { rotateAudit } from '../../workers/tasks/rotate-audit.js';
import { runCli } from '../cli/run-cli.js';
import { createAdmins, mailedToken } from '../helpers/admins.js';
import { createClient } from '../helpers/api-client.js';
import { useContext, type Scope } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { createFirehoseReader } from '../helpers/firehose.js';
import { startApi, startWorker } from '../helpers/processes.js';
import { runApi, runWorker } from '../helpers/servers.js';
import { openFixture } from '../workers/fixture.js';

const context = useContext();

test.serial(
  'S79 the API works with a role that can write rows, and neither make nor change nor drop a table',
  async (t) => {
    const databaseUrl = await makeDatabaseRole(t);
    const api = await startApi(context, { scope: t, env: { DATABASE_URL: databaseUrl } });
    await startWorker(context, { scope: t });
    await liveAFullLife(api.url);
    t.is((await createClient(api.url).get('/health/ready')).status, 200);
    t.false(api.stdout().includes('permission denied'));
    await giveEveryCommand(t, databaseUrl);

    const client = new pg.Client({ connectionString: databaseUrl });
    await client.connect();
    t.teardown(() => client.end());
    for (const statement of [
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
      `insert into schema_migrations (name) values ('mine')`,
      'delete from schema_migrations',
    ]) {
      const { code } = (await client.query(statement).then(
        () => ({ code: 'done' }),
        (error: unknown) => error,
      )) as { code: string };
      // A grant by somebody who may not is ignored with a warning, where it is not refused.
      if (!statement.startsWith('grant')) t.is(code, '42501', statement);
    }
    t.deepEqual(
      await context.rows(
        `select from information_schema.role_table_grants where grantee = 'PUBLIC' and table_schema = 'public'`,
      ),
      [],
    );
  },
);

test.serial(
  'S79 the API adds to the audit and changes nothing of it, whatever month is prepared',
  async (t) => {
    await makeDatabaseRole(t);
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
    t.is((await createClient(api.url).get('/health/ready')).status, 200);
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

async function makeDatabaseRole(scope: Scope): Promise<string> {
  const { id, rows } = context;
  await rows(`create role ${id} login password '${id}'`);
  for (const grant of databaseGrants(id)) await rows(grant);
  scope.teardown(async () => {
    await rows(`drop owned by ${id}`);
    await rows(`drop role ${id}`);
  });
  return Object.assign(new URL(context.databaseUrl), { username: id, password: id }).href;
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
