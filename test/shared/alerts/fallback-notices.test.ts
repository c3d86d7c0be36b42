import test from 'ava';
import { createWebhook } from '../../../shared/alerts/webhook.js';
import { shareProcess, useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';
import { checkOf, looks, openAlerts, openReceiver, sentOn, start } from './alerting-fixture.js';

shareProcess();

const context = useContext();

// They all look at the one table.
test.serial.afterEach.always(() => context.rows('truncate alerts, heartbeats cascade'));

test.serial('with PostgreSQL gone one process tells of it by Redis, and of its end', async (t) => {
  const hook = await openReceiver(t);
  const postgres = await openTcpProxy(t, context.databaseUrl);
  const urls = { postgres: postgres.urlFor(context.databaseUrl) };
  const options = { urls, channels: () => [createWebhook(hook.url)] };
  const processes = [await start(t, context, options), await start(t, context, options)];
  await postgres.refuse();
  await eventually(() => hook.bodies.length > 0, { of: 'the notice' });
  t.like(hook.bodies[0], { alerts: [{ state: 'raised', name: 'postgres_down' }] });
  await looks(processes);
  t.is(hook.bodies.length, 1, 'once');
  await postgres.restore();
  await eventually(() => hook.bodies.length > 1, { of: 'the end' });
  t.like(hook.bodies[1], { alerts: [{ state: 'cleared', name: 'postgres_down' }] });
});

test.serial(
  'with PostgreSQL and Redis gone each process tells of both; what lasts is not told again afterwards',
  async (t) => {
    const { process, postgres, redis, names } = await startCutOff(t);
    await eventually(() => names().length > 1, { of: 'the notice' });
    t.deepEqual(names(), ['postgres_down raised', 'redis_down raised']);
    await postgres.restore();
    await eventually(() => names().length > 2, { of: 'the end of one' });
    await looks([process]);
    t.deepEqual(names().slice(2), ['postgres_down cleared']);
    t.deepEqual(await openAlerts(context), ['redis_down']);
    await redis.restore();
    await eventually(() => names().length > 3, { of: 'the end of the other' });
    t.is(names()[3], 'redis_down cleared');
  },
);

test.serial(
  'what was sent without PostgreSQL is not sent again while the record of it fails, nor afterwards',
  async (t) => {
    const { process, postgres, names } = await startCutOff(t);
    await eventually(() => names().length > 1, { of: 'the notice' });
    await context.rows(`create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'as told'; end $$`);
    await context.rows(`create trigger refuse before insert on alert_notices for each row
      when (new.sent_at is not null) execute function refuse()`);
    await postgres.restore();
    await eventually(() => process.messages().includes('alerts not recorded'), {
      of: 'the failure',
    });
    await eventually(() => names().length > 2, { of: 'the end of one' });
    await looks([process]);
    t.deepEqual(names(), ['postgres_down raised', 'redis_down raised', 'postgres_down cleared']);
    t.deepEqual(await openAlerts(context), ['redis_down']);

    await context.rows('drop function refuse cascade');
    await eventually(async () => (await sentOn(context, 'webhook')) === 1, { of: 'the record' });
    await looks([process]);
    t.is(names().length, 3);
  },
);

test.serial('an unsuitable locale is recorded: PostgreSQL works', async (t) => {
  const problem = 'postgres has another locale';
  await start(t, context, {
    checks: { postgres: checkOf({ problem, kind: 'unsuitable_locale' }) },
  });
  await eventually(async () => (await openAlerts(context)).length > 0, { of: 'the alert' });
  t.deepEqual(await openAlerts(context), ['unsuitable_locale']);
});

/** A process from which PostgreSQL and Redis are taken away, and the notices that it has sent. */
async function startCutOff(scope: Scope) {
  const hook = await openReceiver(scope);
  const postgres = await openTcpProxy(scope, context.databaseUrl);
  const redis = await openTcpProxy(scope, context.redisUrl);
  const urls = {
    postgres: postgres.urlFor(context.databaseUrl),
    redis: redis.urlFor(context.redisUrl),
  };
  const process = await start(scope, context, { urls, channels: () => [createWebhook(hook.url)] });
  await Promise.all([postgres.refuse(), redis.refuse()]);
  const names = () => hook.alerts().map(({ name, state }) => `${name} ${state}`);
  return { process, postgres, redis, names };
}
