import test from 'ava';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { isRequest } from '../helpers/processes.js';

const context = useContext();
const api = useApi(context, { env: { TRUST_PROXY: '127.0.0.0/8, 10.0.0.0/8' } });

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
