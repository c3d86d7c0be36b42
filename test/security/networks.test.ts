import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { createClientAddress } from '../../api/http/client-address.js';
import { withoutPort } from '../../shared/http/network-address.js';
import type { Login } from '../helpers/admins.js';
import { createClient, type ApiClient } from '../helpers/api-client.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { isRequest } from '../helpers/processes.js';
import { runApi, type RunningServer } from '../helpers/servers.js';

const context = useContext();

/** Where only the fact of a limit matters: a fifth of production's. */
const SMALL = { RATE_LIMIT_SCALE: '0.2' };
/** More than a client may then try in a minute, and some. */
const TRIES = 10;

const forgeries = (i: number): Record<string, string> => ({
  'x-forwarded-for': `203.0.113.${i}`,
  'x-real-ip': `203.0.113.${i}`,
  'x-client-ip': `203.0.113.${i}`,
  'cf-connecting-ip': `203.0.113.${i}`,
  'true-client-ip': `203.0.113.${i}`,
  forwarded: `for=203.0.113.${i}`,
});

test.serial('S64 no header makes a client another one, unless a proxy is trusted', async (t) => {
  const { client, server } = await startFresh(t, { ...SMALL, TRUST_PROXY: undefined });
  const statuses = await tryLogins(client, forgeries);
  t.true(statuses.includes(401) && statuses.includes(429), statuses.join());
  t.deepEqual(await addressesIn(server), ['127.0.0.1']);
});

test.serial(
  'S64 behind one proxy the address that it adds counts, not what the client has written before',
  async (t) => {
    const { client, server } = await startFresh(t, { ...SMALL, TRUST_PROXY: '1' });
    const statuses = await tryLogins(client, (i) => ({
      ...forgeries(i),
      'x-forwarded-for': `6.6.6.${i}, 9.9.9.9`,
    }));
    t.true(statuses.includes(429));
    t.deepEqual(await addressesIn(server), ['9.9.9.9']);
    const other = await logIn(client, { 'x-forwarded-for': '9.9.9.8' });
    t.is(other, 401, 'nobody else is in the same bucket');
  },
);

test.serial('S64 a proxy may be named by its network', async (t) => {
  const { client, server } = await startFresh(t, {
    ...SMALL,
    TRUST_PROXY: '127.0.0.0/8, 10.0.0.0/8',
  });
  await logIn(client, { 'x-forwarded-for': '6.6.6.6, 9.9.9.9, 10.1.2.3' });
  const addresses = await addressesIn(server);
  t.true(addresses.includes('9.9.9.9'));
  t.false(addresses.includes('6.6.6.6'));
});

test.serial('S64 an IPv6 /64 is one client', async (t) => {
  const { client } = await startFresh(t, { ...SMALL, TRUST_PROXY: '1' });
  const statuses = await tryLogins(client, (i) => ({
    'x-forwarded-for': `2001:db8:0:1:${i.toString(16)}::${i}`,
  }));
  t.true(statuses.includes(429));
  t.is(
    await logIn(client, { 'x-forwarded-for': '2001:DB8::1:0:0:0:1' }),
    429,
    'however it is written',
  );
  t.is(
    await logIn(client, { 'x-forwarded-for': '2001:db8:0:2::1' }),
    401,
    'the next one is another',
  );
  t.is(await logIn(client, { 'x-forwarded-for': '::ffff:9.9.9.9' }), 401);
});

test.serial(
  'S64 whoever has an IPv6 /56 or /48 has more than a /64 has, but not as often as it has /64s',
  async (t) => {
    const { client } = await startFresh(t, { TRUST_PROXY: '1' });
    /** How many of so many logins are let through, each from another network. */
    const passed = async (count: number, networkAt: (i: number) => string): Promise<number> => {
      let n = 0;
      for (let i = 0; i < count; i++)
        if ((await logIn(client, { 'x-forwarded-for': `${networkAt(i)}::1` })) === 401) n += 1;
      return n;
    };
    const hex = (n: number): string => n.toString(16);
    t.is(await passed(70, (i) => `2001:db8:1:${hex(0x100 + i)}`), 60, 'of one /56');
    t.is(await passed(3, () => '2001:db8:1:1ff'), 0, 'nor from another of its /64s');
    t.is(await passed(70, (i) => `2001:db8:1:${hex(0x200 + (i << 8))}`), 60, 'of its /48');
    t.is(await passed(3, () => '2001:db8:1:7700'), 0);
    t.is(await passed(3, () => '2001:db8:2:1'), 3, 'the next /48 is another client');
  },
);

test.serial('S64 what one /64 is refused takes nothing from its neighbours', async (t) => {
  const { client } = await startFresh(t, { ...SMALL, TRUST_PROXY: '1' });
  for (let i = 0; i < 3 * TRIES; i++)
    await logIn(client, { 'x-forwarded-for': '2001:db8:1:101::1' });
  t.is(await logIn(client, { 'x-forwarded-for': '2001:db8:1:102::1' }), 401);
});

test.serial(
  'S64 what a trusted proxy sends in the place of an address is no reason to fail',
  async (t) => {
    const { client } = await startFresh(t, { TRUST_PROXY: '1' });
    for (const odd of [
      'unknown',
      '_hidden',
      '9.9.9.9:4711',
      '[2001:db8::1]:4711',
      'x'.repeat(2_000),
      ',',
      '::1%eth0',
    ]) {
      t.is(await logIn(client, { 'x-forwarded-for': odd }), 401, odd);
    }
  },
);

test('S64 a port behind an address and brackets around it are no part of it', (t) => {
  for (const [given, address] of [
    ['9.9.9.9:4711', '9.9.9.9'],
    [' 9.9.9.9 ', '9.9.9.9'],
    ['9.9.9.9:', '9.9.9.9'],
    ['[2001:db8::1]:4711', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[::ffff:9.9.9.9]:1', '::ffff:9.9.9.9'],
    ['[fe80::1%eth0]:1', 'fe80::1%eth0'],
  ] as const)
    t.is(withoutPort(given), address);
  for (const text of [
    '9.9.9.9',
    '2001:db8::1',
    '2001:db8::1:4711',
    'unknown',
    'unknown:4711',
    '_hidden',
    '9.9.9:4711',
    '9.9.9.999:1',
    '[9.9.9.9]:1',
    '[x]:1',
    '[]',
    '',
  ])
    t.is(withoutPort(text), text);
});

test('S64 an IPv4 address is the same in each of its IPv6 spellings', (t) => {
  const addressIn = createClientAddress(['127.0.0.1']);
  for (const given of [
    '198.51.100.7',
    '::ffff:198.51.100.7',
    '::FFFF:c633:6407',
    '0:0:0:0:0:ffff:198.51.100.7',
    '[::ffff:c633:6407]:4711',
  ]) {
    const req = { headers: { 'x-forwarded-for': given }, socket: { remoteAddress: '127.0.0.1' } };
    t.is(addressIn(req as unknown as IncomingMessage), '198.51.100.7', given);
  }
});

test.serial(
  'S64 behind a proxy that adds the port, a client is the same at every port',
  async (t) => {
    const { client, server } = await startFresh(t, {
      ...SMALL,
      TRUST_PROXY: '10.0.0.0/8, 127.0.0.1',
    });
    const statuses = await tryLogins(client, (i) => ({
      'x-forwarded-for': `6.6.6.${i}, 9.9.9.9:${50_000 + i}, 10.1.2.3:${40_000 + i}`,
    }));
    t.true(statuses.includes(429));
    t.deepEqual(await addressesIn(server), ['9.9.9.9']);
    const another = await tryLogins(client, (i) => ({
      'x-forwarded-for': `[2001:db8:0:1::${i}]:${50_000 + i}`,
    }));
    t.true(another.includes(401) && another.includes(429));
  },
);

/** An API whose limits are those of production unless told, and whose Redis has counted nothing yet. */
async function startFresh(
  t: ExecutionContext,
  env: Record<string, string | undefined>,
): Promise<{ client: ApiClient; server: RunningServer }> {
  const server = await runApi(context, {
    scope: t,
    // Another key, so that what earlier tests have used up counts for them alone.
    env: { RATE_LIMIT_SCALE: '1', ...env, SECRET_KEY: randomBytes(32).toString('hex') },
  });
  return { client: createClient(server.url), server };
}

async function tryLogins(
  client: ApiClient,
  headersOf: (i: number) => Record<string, string>,
): Promise<number[]> {
  const statuses: number[] = [];
  for (let i = 1; i <= TRIES; i++) statuses.push(await logIn(client, headersOf(i)));
  return statuses;
}

async function logIn(client: ApiClient, headers: Record<string, string>): Promise<number> {
  const json = { email: context.uniqueAddress(), password: 'a password of nobody at all' };
  return (await client.post('/auth/login', json, { headers })).status;
}

/** A line may come a moment after the answer: a login's tells that those before it are there. */
async function addressesIn(server: RunningServer): Promise<string[]> {
  await server.waitForLine((line) => line['url.path'] === '/auth/login');
  return [...new Set(server.logLines().map((line) => line['client.ip']))]
    .filter((ip): ip is string => typeof ip === 'string')
    .toSorted();
}

const api = useApi(context, { env: { TRUST_PROXY: '127.0.0.0/8, 10.0.0.0/8' } });

test('S64 a client has one address, however a proxy writes it; what is no address is the proxy’s own', async (t) => {
  for (const [given, ip] of [
    ['2001:DB8:0::1', '2001:db8::1'],
    ['::ffff:9.9.9.9', '9.9.9.9'],
    ['fe80::1%eth0', 'fe80::1'],
    ['garbage', '127.0.0.1'],
  ] as const) {
    const { email, password } = await api.admins.confirmedAdmin();
    const headers = { 'x-forwarded-for': given };
    const login = await api.client.post<Login>('/auth/login', { email, password }, { headers });
    const { body } = await api.client
      .as(login.body.access_token)
      .get<{ ip: string; current: boolean }[]>('/auth/sessions');
    t.is(body.find(({ current }) => current)?.ip, ip, given);
  }
});

test('S81 more types in Accept than any browser sends are not weighed', async (t) => {
  const typeOf = async (accept: string): Promise<string> => {
    const { headers } = await api.client.raw('GET', '/', { headers: { accept } });
    return headers.get('content-type') ?? '';
  };
  t.regex(await typeOf('text/html, */*;q=0.1'), /^text\/html/);
  t.regex(await typeOf(`text/html${', a/b'.repeat(1_000)}`), /^application\/json/);
});

test('S81 more proxies than any request passes are not read: the last ones count', async (t) => {
  const requestId = 'of-many-proxies';
  const addresses = [...Array.from({ length: 600 }, () => '9.9.9.9'), ...tens(100)];
  await api.client.raw('GET', '/nothing', {
    headers: { 'x-request-id': requestId, 'x-forwarded-for': addresses.join() },
  });
  const line = await api.server.waitForLine(isRequest(requestId));
  t.is(line['client.ip'], '10.0.0.0', 'the hundredth from the end, which a proxy of ours has seen');
});

/** Addresses of proxies that are trusted. */
const tens = (count: number): string[] => Array.from({ length: count }, (_, i) => `10.0.0.${i}`);
