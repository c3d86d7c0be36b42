import { startupEvent } from '../shared/audit/audit.js';
import { loadApiConfig, loadOrExit } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { createLogger } from '../shared/logging/logger.js';
import { createReceipts } from '../shared/log-shipping/receipts.js';
import { openSpool } from '../shared/log-shipping/spool.js';
import { openStandardOutput } from '../shared/logging/standard-output.js';
import { logRedisProblems } from '../shared/queues/log-redis-problems.js';
import { createApp } from './app.js';
import { buildDeps } from './deps.js';
import { securityHeaderValues } from './http/security-headers.js';
import { closeServer, createHttpServer, listen } from './http/server.js';

const STOP_DEADLINE_MS = 15_000;
const FLUSH_DEADLINE_MS = 2_000;

const config = loadOrExit(() => loadApiConfig());
const identity = { service: 'rollcall-api', ...config.logging };
const output = openStandardOutput();
const localLog = createLogger({ ...identity, destination: output });
const { spool: spooled } = config;
const spool = spooled && loadOrExit(() => openSpool({ ...spooled, localLog, print: output.write }));
const log = spool ? createLogger({ ...identity, destination: spool }) : localLog;
output.reportTo(log);
const lifecycle = startLifecycle(log, STOP_DEADLINE_MS);
lifecycle.onStop('log spool', () => spool?.close());

const deps = await buildDeps(config, log);
lifecycle.onStop('database and queues', () => deps.close());

const telling = new AbortController();
void logRedisProblems(deps.queues, log, telling.signal);
lifecycle.onStop('look at Redis', () => telling.abort());

if (spool) {
  const { logs: queue, logsRedis, room } = deps.queues;
  const receipts = createReceipts(logsRedis);
  const shipping = spool.startShipping({ queue, receipts, room: room.logs, log });
  lifecycle.onStop('log shipping', () => shipping.stop(FLUSH_DEADLINE_MS));
}

const app = createApp(deps, {
  publicUrl: config.publicUrl,
  trustProxy: config.http.trustProxy,
  passwordMinLength: config.passwords.minLength,
  isStopping: () => lifecycle.isStopping,
});
const server = createHttpServer(app, log, securityHeaderValues(config.publicUrl));
lifecycle.onStop('http server', () => closeServer(server));

const port = await listen(server, config.http.port, config.http.host);
log.info(
  { ...startupEvent, 'server.address': config.http.host, 'server.port': port },
  'server listening',
);
