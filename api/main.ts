import { startupEvent } from '../shared/audit/audit.js';
import { loadApiConfig, loadOrExit } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openLogging } from '../shared/log-shipping/open-logging.js';
import { logRedisProblems } from '../shared/queues/log-redis-problems.js';
import { createApp } from './app.js';
import { buildDeps } from './deps.js';
import { securityHeaderValues } from './http/security-headers.js';
import { closeServer, createHttpServer, listen } from './http/server.js';

const STOP_DEADLINE_MS = 15_000;
const FLUSH_DEADLINE_MS = 2_000;

const config = loadOrExit(() => loadApiConfig());
const logging = loadOrExit(() => openLogging(config, 'rollcall-api'));
const { log } = logging;
const lifecycle = startLifecycle(log, STOP_DEADLINE_MS);
lifecycle.onStop('log spool', () => logging.close());

const deps = await buildDeps(config, log);
lifecycle.onStop('database and queues', () => deps.close());

const telling = new AbortController();
void logRedisProblems(deps.queues, log, telling.signal);
lifecycle.onStop('look at Redis', () => telling.abort());

const shipping = logging.startShipping(deps.queues);
lifecycle.onStop('log shipping', () => shipping.stop(FLUSH_DEADLINE_MS));

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
