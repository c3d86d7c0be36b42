import { connect } from 'node:net';
import type { IncomingMessage } from 'node:http';
import test from 'ava';
import { claimPort } from '../../dev/stack/processes/ports.js';
import { product } from '../../shared/config/version.js';
import { mayReadMetrics } from '../../shared/metrics/metrics-access.js';
import { useSystem } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { ask } from '../helpers/http.js';
import { runApi } from '../helpers/servers.js';
import { scrape } from '../helpers/scrape.js';

const context = useContext();
const METRICS_TOKEN = 'the-token-of-whoever-reads-the-metrics';
const TOKEN = { authorization: `Bearer ${METRICS_TOKEN}` };
const system = useSystem(context, { env: { METRICS_TOKEN } });

const answerTo = (url: string, method: string, headers: Record<string, string> = {}) =>
  ask(`${url}/metrics`, { method, headers, signal: AbortSignal.timeout(60_000) });

const statusOf = async (url: string, headers: Record<string, string> = {}): Promise<number> =>
  (await answerTo(url, 'GET', headers)).status;

test.serial('S70 S42 metrics are there for who bears the token, and for nobody else', async (t) => {
  for (const { url } of [system.server, system.worker]) {
    t.is(await statusOf(url, TOKEN), 200);
    t.is(await statusOf(url), 404, 'a program on this host');
    for (const authorization of [
      `Bearer ${METRICS_TOKEN}x`,
      `Bearer ${METRICS_TOKEN.slice(1)}`,
      'Bearer ',
      METRICS_TOKEN,
      `Basic ${METRICS_TOKEN}`,
    ])
      t.is(await statusOf(url, { authorization }), 404, authorization);
    for (const method of ['POST', 'OPTIONS']) t.is((await answerTo(url, method)).status, 404);
  }
});

test.serial('the metrics name release, process and environment', async (t) => {
  for (const [{ url }, service] of [
    [system.server, 'rollcall-api'],
    [system.worker, 'rollcall-worker'],
  ] as const) {
    const { value } = await scrape(url, TOKEN);
    const labels = { version: product.version, service, environment: 'test' };
    t.is(value('rollcall_build_info', labels), 1);
  }
});

test.serial('who may read the metrics is told of other methods', async (t) => {
  for (const { url } of [system.server, system.worker])
    for (const method of ['POST', 'PUT', 'DELETE', 'PROPFIND']) {
      const { status, headers } = await answerTo(url, method, TOKEN);
      t.deepEqual([status, headers.get('allow')], [405, 'GET, HEAD'], `${url} ${method}`);
      t.is(headers.get('content-type'), 'application/problem+json');
    }
  const options = await answerTo(system.server.url, 'OPTIONS', TOKEN);
  t.deepEqual([options.status, options.headers.get('allow'), options.text], [204, 'GET, HEAD', '']);
  const head = await answerTo(system.server.url, 'HEAD', TOKEN);
  t.deepEqual([head.status, head.text], [200, '']);
});

test.serial(
  'S70 without a token metrics are there for programs on the same host, and not through a proxy',
  (t) => {
    const may = (remoteAddress: string, headers: Record<string, string> = {}): boolean =>
      mayReadMetrics(
        { socket: { remoteAddress }, headers } as unknown as IncomingMessage,
        undefined,
      );
    for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '127.8.8.8'])
      t.true(may(address), address);
    for (const address of [
      '10.0.0.5',
      '192.168.1.1',
      '203.0.113.9',
      '::ffff:10.0.0.1',
      'fe80::1',
      '',
    ])
      t.false(may(address), address);
    for (const header of [
      'forwarded',
      'x-forwarded-for',
      'x-forwarded-proto',
      'x-real-ip',
      'via',
      'cf-connecting-ip',
      'fastly-client-ip',
      'x-envoy-external-address',
      'x-original-forwarded-for',
      'x-vercel-forwarded-for',
      'cloudfront-viewer-address',
      'x-nf-client-connection-ip',
      'x-originating-ip',
    ])
      t.false(may('127.0.0.1', { [header]: '127.0.0.1' }), header);
    t.false(may('127.0.0.1', { host: 'evil.example' }), 'a name that resolves to this host');
    t.true(may('127.0.0.1', { host: 'localhost:5000' }));
  },
);

test.serial('S70 with a listener for operators the public port has no metrics', async (t) => {
  const claim = await claimPort(0);
  t.teardown(() => claim.release());
  const api = await runApi(context, {
    scope: t,
    env: { OPS_PORT: String(claim.port), METRICS_TOKEN },
  });
  t.is(await statusOf(api.url, TOKEN), 404);
  t.is(await statusOf(`http://127.0.0.1:${claim.port}`, TOKEN), 200);
});

test.serial('S70 ten thousand paths and odd methods add one series at most', async (t) => {
  const { url } = system.server;
  const before = (await scrape(url, TOKEN)).samples.length;
  const SENT = 10_000;
  await sendAll(
    url,
    Array.from({ length: SENT }, (_, i) => {
      const method = ['GET', 'GET', 'GET', 'PROPFIND', 'REPORT'][i % 5] ?? 'GET';
      const path = [`/x${i}`, `/users/x${i}/y`, `/%${i}`, `/apidocs/x${i}`][i % 4] ?? '';
      return `${method} ${path} HTTP/1.1\r\nhost: x\r\n\r\n`;
    }),
  );
  const after = await scrape(url, TOKEN);
  const counted = after.value('http_server_request_duration_seconds_count', {
    http_route: 'unmatched',
  });
  t.true(counted >= SENT / 2, `${counted} of them were counted`);
  const routes = new Set(
    after.samples
      .flatMap(({ labels }) => labels['http_route'] ?? [])
      .filter((route) => /x\d|%/.test(route)),
  );
  t.deepEqual([...routes], []);
  const SERIES_OF_A_KIND = 16;
  t.true(
    after.samples.length - before <= 8 * SERIES_OF_A_KIND,
    `${after.samples.length - before} more lines`,
  );
});

test.serial('S70 a scrape names nobody, and no label holds what a client chose', async (t) => {
  const admin = await system.admins.confirmedAdmin();
  const { body: user } = await admin.client.post<{ id: number }>('/users', {
    email: context.uniqueAddress('someone'),
    name: 'Somebody Somewhere',
  });
  t.is((await admin.client.get(`/users/${user.id}`)).status, 200);
  t.is(
    (await admin.client.put(`/users/${user.id}`, { email: context.uniqueAddress(), name: 'N' }))
      .status,
    200,
  );
  await system.client.raw('POST', '/auth/login', {
    json: { email: admin.email, password: 'wrong' },
  });
  const [row] = await context.rows<{ id: string }>('select id from outbox limit 1');
  const scrapes = await Promise.all(
    [system.server, system.worker].map(async ({ url }) => scrape(url, TOKEN)),
  );
  for (const { text, samples } of scrapes) {
    for (const secret of [
      '@',
      admin.email,
      admin.name,
      admin.login.access_token,
      admin.login.refresh_token,
      METRICS_TOKEN,
      row?.id ?? t.fail(),
      context.mailDomain,
    ])
      t.false(text.includes(secret), secret);
    t.notRegex(text, /[0-9a-f]{8}-[0-9a-f]{4}-/, 'no id');
    for (const { labels } of samples)
      for (const [label, value] of Object.entries(labels))
        t.regex(
          value,
          label === 'le' ? /^(?:[\d.]+|\+Inf)$/ : /^[\w./{}+-]{1,60}$/,
          `${label}="${value}"`,
        );
  }
  const [api] = scrapes;
  const of = (route: string, method: string): number =>
    api?.value('http_server_request_duration_seconds_count', {
      http_route: route,
      http_request_method: method,
    }) ?? 0;
  t.is(of('/users/{id}', 'GET'), 1);
  t.is(of('/users/{id}', 'PUT'), 1);
  t.is(of('/users', 'POST'), 1);
  t.true(of('/auth/login', 'POST') >= 2);
});

/** Sends requests in a row on one connection, and waits for as many answers. */
async function sendAll(url: string, requests: readonly string[]): Promise<void> {
  const { hostname, port } = new URL(url);
  const AT_ONCE = 100;
  for (let start = 0; start < requests.length; start += AT_ONCE) {
    const some = requests.slice(start, start + AT_ONCE);
    const socket = connect({ host: hostname, port: Number(port) });
    let answers = 0;
    socket.setEncoding('latin1').on('data', (text: string) => {
      answers += text.split('HTTP/1.1 ').length - 1;
    });
    socket.write(some.join(''));
    await eventually(() => answers >= some.length || socket.closed, { of: 'the answers' });
    socket.destroy();
  }
}
