import test from 'ava';
import { createClient } from '../../helpers/api-client.js';
import { useContext } from '../../helpers/context.js';
import { IMPATIENT } from '../../helpers/env.js';
import { startApi, startWorker } from '../../helpers/processes.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

const context = useContext();

test('through an outage of PostgreSQL every line is one of the log, and says what readiness found', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const env = { ...IMPATIENT, DATABASE_URL: proxy.urlFor(context.databaseUrl) };
  const api = await startApi(context, { scope: t, env });
  const worker = await startWorker(context, { scope: t, env });
  const client = createClient(api.url);
  const token = `ct_${'0'.repeat(32)}_${'A'.repeat(43)}`;
  t.is((await client.post('/auth/confirm', { token, password: 'any password' })).status, 400);

  proxy.silence();
  // A transaction that cannot be begun.
  t.is((await client.post('/auth/confirm/resend', { email: 'nobody@x.test' })).status, 503);
  await api.waitForLine((line) => line['message'] === 'console output captured');
  for (const process of [api, worker]) {
    t.is((await fetch(`${process.url}/health/ready`)).status, 503);
    const line = await process.waitForLine(({ 'labels.check': check }) => check === 'postgres');
    t.is(line['message'], 'readiness check failed');
    t.regex(String(line['error.message']), /timeout|terminated|Connection/i);
  }
  await proxy.restore();
  await Promise.all([api.stop(), worker.stop()]);
  for (const process of [api, worker]) {
    t.is(process.stderr(), '');
    t.notThrows(() => process.logLines());
  }
});
