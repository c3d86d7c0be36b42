import { loadApiConfig, loadOrExit } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { createLogShipper } from '../shared/logging/log-shipper.js';
import { createLogger } from '../shared/logging/logger.js';
import { createApp } from './app.js';
import { buildDeps } from './deps.js';
import { securityHeaderValues } from './http/security-headers.js';
import { closeServer, createHttpServer, listen } from './http/server.js';

const STOP_DEADLINE_MS = 15_000;
const FLUSH_DEADLINE_MS = 2_000;

const config = loadOrExit(() => loadApiConfig());
const shipper = createLogShipper();
const log = createLogger({
  service: 'rollcall-api',
  ...config.logging,
  ...(config.shipLogs && { ship: shipper.write }),
});
const lifecycle = startLifecycle(log, STOP_DEADLINE_MS);

const deps = await buildDeps(config, log);
lifecycle.onStop('database and queues', () => deps.close());

shipper.connect(deps.queues.logs, (lines) =>
  log.warn({ 'labels.dropped_lines': lines }, 'log lines dropped'),
);
lifecycle.onStop('log shipper', () => shipper.close(FLUSH_DEADLINE_MS));

const app = createApp(deps, {
  publicUrl: config.publicUrl,
  trustProxy: config.http.trustProxy,
  passwordMinLength: config.passwords.minLength,
  isStopping: () => lifecycle.isStopping,
});
const server = createHttpServer(app, log, securityHeaderValues(config.publicUrl));
lifecycle.onStop('http server', () => closeServer(server));

const port = await listen(server, config.http.port, config.http.host);
log.info({ 'server.address': config.http.host, 'server.port': port }, 'listening');
