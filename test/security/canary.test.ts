import test, { type ExecutionContext } from 'ava';
import type { FirehoseEndpoint } from '../../dev/emulators/firehose/firehose-endpoint.js';
import { createClient, type ApiClient, type RequestOptions } from '../helpers/api-client.js';
import type { Login } from '../helpers/admins.js';
import { useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { startApi, startProgram, startWorker, type TestProcess } from '../helpers/processes.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { createCanaries, readDatabase, readRedis, readSpool } from './canaries.js';
import {
  openFirehose,
  openSecretEnvironment,
  openStubbornSmtp,
  type StubbornSmtp,
} from './canary-servers.js';

const context = useContext();
const canaries = createCanaries();
/** Personal rather than secret: the database holds them, queues and logs must not. */
const people = createCanaries();

/** What the processes have said, and what the stores have held at one time or another. */
const seen = { output: '', spool: '', Redis: '', PostgreSQL: '', Firehose: '' };

test('S75 S71 S04 no secret is in any output, log record, queue or table, whatever goes wrong', async (t) => {
  t.timeout(300_000);
  const secrets = await openSecretEnvironment(context, t, canaries);
  const smtp = await openStubbornSmtp(t, secrets['MAIL_PASSWORD'] ?? '', canaries);
  const firehose = await openFirehose(t);
  const env = { ...secrets, ...smtp.env, AWS_ENDPOINT_URL_FIREHOSE: firehose.url };
  const api = await startApi(context, { scope: t, env });
  const client = createClient(api.url);
  const processes: TestProcess[] = [api];

  const ann = newcomer('ann');
  await client.post('/auth/register', ann);
  await client.post('/auth/register', {
    ...ann,
    password: canaries.secret('the second password of a pending account'),
  });
  await sendNonsense(client);
  await eventually(async () => {
    const redis = await readRedis(context.redisUrl);
    return redis.includes('"/auth/login"') && redis.includes('"/auth/password/reset"');
  });
  await look();

  firehose.setFaults({ mode: 'throttle', failCalls: 2 });
  smtp.answerWith('later');
  const worker = await startWorker(context, { scope: t, env });
  processes.push(worker);
  await hasDelivery(ann.email, 'deferred');
  await look();
  smtp.answerWith('take');
  await hasDelivery(ann.email, 'sent');

  await liveAFullLife(client, smtp, ann);
  await look();

  smtp.answerWith('never');
  const bob = newcomer('bob');
  await client.post('/auth/register', bob);
  await hasDelivery(bob.email, 'refused');
  await look();
  await worker.stop();

  processes.push(...(await meetOutages(t, env)));
  await api.stop();
  processes.push(await shipTheRest(t, env, firehose));
  await look();
  for (const process of processes) seen.output += process.stdout() + process.stderr();
  seen.Firehose = JSON.stringify(await firehose.records(context.streamName));

  t.true(canaries.count >= 30, `${canaries.count} canaries`);
  for (const [place, text] of Object.entries(seen)) {
    t.deepEqual(canaries.findIn(text), [], `secrets in ${place}`);
    if (place !== 'PostgreSQL') t.deepEqual(people.findIn(text), [], `addresses in ${place}`);
  }
  assertNotBlind(t, secrets['SECRET_KEY'] ?? '');
});

/** The search finds what is there: the text of a request in each place, and people in the database. */
function assertNotBlind(t: ExecutionContext, key: string): void {
  const control = createCanaries();
  control.watch('a path', '/auth/password/reset');
  for (const place of ['output', 'spool', 'Redis', 'Firehose'] as const) {
    t.deepEqual(control.findIn(seen[place]), ['a path'], place);
  }
  t.true(people.findIn(seen.PostgreSQL).length >= 2);
  const hidden = Buffer.from(`..${key}..`);
  for (const text of [
    hidden.toString('hex'),
    hidden.toString('base64'),
    hidden.subarray(1).toString('base64url'),
    `%20${key}`,
  ]) {
    t.deepEqual(canaries.findIn(text), ['the signing secret']);
  }
}

function newcomer(name: string): { email: string; name: string; password: string } {
  const email = `${name}-${people.secret(name).toLowerCase()}@${context.mailDomain}`;
  people.watch(`${name}’s address`, email);
  return { email, name: `${name} ${context.id}`, password: canaries.secret(`${name}’s password`) };
}

async function look(): Promise<void> {
  seen.spool += await readSpool(context.spoolDir);
  seen.Redis += await readRedis(context.redisUrl);
  seen.PostgreSQL += await readDatabase(context);
}

/** Requests that carry secrets where they do not belong, or that are wrong in another way. */
async function sendNonsense(client: ApiClient): Promise<void> {
  const json = { 'content-type': 'application/json' };
  const secret = canaries.secret;
  const requests: readonly (readonly [method: string, path: string, options: RequestOptions])[] = [
    [
      'POST',
      '/auth/login',
      { body: `{"email":"a@x.test","password":"${secret('a half body')}`, headers: json },
    ],
    [
      'POST',
      '/auth/login',
      { body: secret('a body of another type'), headers: { 'content-type': 'text/plain' } },
    ],
    [
      'POST',
      '/auth/login',
      {
        json: {
          email: secret('an address that is none'),
          password: [secret('a password in a list')],
        },
      },
    ],
    [
      'POST',
      '/auth/login',
      {
        json: {
          email: 'a@x.test',
          password: 'x',
          [secret('an unknown field')]: secret('its value'),
        },
      },
    ],
    [
      'POST',
      '/auth/login',
      { json: { email: 'nobody@x.test', password: secret('a wrong password') } },
    ],
    [
      'POST',
      '/auth/register',
      { json: { email: 'a@x.test', name: 'x', password: secret('x').slice(0, 10) } },
    ],
    [
      'POST',
      '/auth/confirm',
      {
        json: {
          token: `ct_${'0'.repeat(32)}_${secret('a forged link')}`,
          password: secret('a password for a forged link'),
        },
      },
    ],
    [
      'POST',
      '/auth/confirm',
      {
        body: `token=${secret('a token in a form')}&password=${secret('a password in a form')}&x=1`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      },
    ],
    [
      'POST',
      '/auth/password/reset',
      { json: { token: secret('a wrong token'), password: secret('a new password') } },
    ],
    [
      'POST',
      '/auth/refresh',
      { json: { refresh_token: `rt_${secret('a forged refresh token')}` } },
    ],
    ['GET', `/auth/password/reset?token=${secret('a token in a query')}`, {}],
    ['GET', `/users?access_token=${secret('a token in another query')}`, {}],
    [
      'GET',
      '/auth/me',
      { headers: { authorization: `Bearer ${secret('a bearer that is none')}` } },
    ],
    ['GET', '/auth/me', { headers: { authorization: `Basic ${secret('basic credentials')}` } }],
    ['GET', '/auth/me', { headers: { cookie: `session=${secret('a cookie')}` } }],
    ['GET', '/nowhere', { headers: { 'x-api-key': secret('an API key'), 'x-request-id': 'x' } }],
    ['PUT', '/users/%', { body: secret('a body that nobody reads'), headers: json }],
  ];
  for (const [method, path, options] of requests) await client.raw(method, path, options);
}

/** Everything that an admin can do with its account, mistakes included. */
async function liveAFullLife(
  client: ApiClient,
  smtp: StubbornSmtp,
  ann: { email: string; password: string },
): Promise<void> {
  // Two registrations, and one link for both: the newer one.
  await eventually(() => isSettled(ann.email));
  const token = await smtp.tokenFor(ann.email);
  await client.post('/auth/confirm', {
    token,
    password: canaries.secret('a wrong password for a link'),
  });
  await client.post('/auth/confirm', { token, password: ann.password });
  await client.post('/auth/login', {
    ...credentials(ann),
    password: canaries.secret('a mistyped password'),
  });
  const login = await logIn(client, ann);
  const me = client.as(login.access_token);
  await me.put('/auth/me', {
    password: canaries.secret('a refused password'),
    current_password: canaries.secret('a wrong current password'),
  });
  const changed = { email: ann.email, password: canaries.secret('the changed password') };
  await me.put('/auth/me', { password: changed.password, current_password: ann.password });
  const next = newcomer('ann’s-next').email.replace('’', '');
  await me.put('/auth/me', { email: next, current_password: changed.password });
  await client.post('/auth/confirm', {
    token: await smtp.tokenFor(next),
    password: changed.password,
  });

  await client.post('/auth/password/forgot', { email: next });
  const reset = { email: next, password: canaries.secret('the reset password') };
  await client.post('/auth/password/reset', {
    token: await smtp.tokenFor(next, 2),
    password: reset.password,
  });
  const again = await logIn(client, reset);
  const { body: second } = await client.post<Login>('/auth/refresh', {
    refresh_token: again.refresh_token,
  });
  watchTokens(second);
  const { body: third } = await client.post<Login>('/auth/refresh', {
    refresh_token: second.refresh_token,
  });
  watchTokens(third);
  await client.post('/auth/refresh', { refresh_token: again.refresh_token });

  const last = client.as((await logIn(client, reset)).access_token);
  await last.post('/users', { email: 'user@x.test', name: 'x' });
  await last.post('/users', { email: 'user@x.test', name: 'x' });
  await last.delete('/auth/me', {
    json: { current_password: canaries.secret('a wrong farewell') },
  });
  await last.delete('/auth/me', { json: { current_password: reset.password } });
}

/** Processes that lose PostgreSQL, Redis, or their credentials, or that cannot even start. */
async function meetOutages(scope: Scope, env: Record<string, string>): Promise<TestProcess[]> {
  const database = await openTcpProxy(scope, context.databaseUrl);
  const redis = await openTcpProxy(scope, context.redisUrl);
  const api = await startApi(context, {
    scope,
    env: {
      ...env,
      DATABASE_URL: database.urlFor(env['DATABASE_URL'] ?? ''),
      REDIS_URL: redis.urlFor(env['REDIS_URL'] ?? ''),
    },
  });
  const client = createClient(api.url);
  await redis.refuse();
  const eve = newcomer('eve');
  await client.post('/auth/register', eve);
  await database.refuse();
  await client.post('/auth/login', credentials(eve));
  await client.post('/auth/register', newcomer('kim'));
  await redis.restore();
  await database.restore();

  const wrong = canaries.secret('a wrong password of the service’s own');
  const misconfigured = await startWorker(context, {
    scope,
    env: { ...env, MAIL_PASSWORD: wrong, AWS_SECRET: wrong },
  });
  await hasAttempt(eve.email);
  const strangers = [
    withPassword(env, 'DATABASE_URL', wrong),
    withPassword(env, 'REDIS_URL', wrong),
  ];
  const refused = [];
  for (const strange of strangers) {
    const process = await startApi(context, { scope, env: strange });
    await createClient(process.url).get('/health/ready');
    await createClient(process.url).post('/auth/login', credentials(eve));
    refused.push(process);
  }
  const broken = startProgram(
    'dist/api/main.js',
    { SECRET_KEY: wrong, DATABASE_URL: wrong, REDIS_URL: wrong },
    scope,
  );
  await broken.waitForExit();
  await Promise.all([api, misconfigured, ...refused].map((process) => process.stop()));
  return [api, misconfigured, broken, ...refused];
}

/** A worker that ships what all the others have left in Redis. */
async function shipTheRest(
  scope: Scope,
  env: Record<string, string>,
  firehose: FirehoseEndpoint,
): Promise<TestProcess> {
  firehose.resetFaults();
  const worker = await startWorker(context, { scope, env: { ...env, WORKER_ROLES: 'logs' } });
  await eventually(
    async () => !(await readRedis(context.redisUrl)).includes('/auth/password/reset'),
  );
  await worker.stop();
  return worker;
}

function withPassword(
  env: Record<string, string>,
  name: string,
  password: string,
): Record<string, string> {
  return { ...env, [name]: Object.assign(new URL(env[name] ?? ''), { password }).href };
}

const credentials = ({ email, password }: { email: string; password: string }) => ({
  email,
  password,
});

async function logIn(client: ApiClient, who: { email: string; password: string }): Promise<Login> {
  const { status, body } = await client.post<Login>('/auth/login', credentials(who));
  if (status !== 200) throw new Error(`the login was answered with ${status}`);
  watchTokens(body);
  return body;
}

function watchTokens({ access_token: access, refresh_token: refresh }: Login): void {
  canaries.watch('an access token', access);
  canaries.watch('a refresh token', refresh);
}

const hasDelivery = (email: string, outcome: string): Promise<boolean> =>
  eventually(
    async () => (await deliveriesTo(email)).some((delivery) => delivery.outcome === outcome),
    { of: `a mail to ${email} being ${outcome}` },
  );

const isSettled = async (email: string): Promise<boolean> =>
  (await context.rows(`select from outbox where recipient = $1 and state <> 'settled'`, [email]))
    .length === 0;

const hasAttempt = (email: string): Promise<boolean> =>
  eventually(async () => (await deliveriesTo(email)).some(({ outcome }) => outcome !== null), {
    withinMs: 60_000,
  });

const deliveriesTo = (email: string) =>
  context.rows<{ outcome: string | null }>(
    `select d.outcome from deliveries d join outbox o on o.id = d.outbox_id where o.recipient = $1`,
    [email],
  );
