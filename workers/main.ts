import { loadOrExit, loadWorkerConfig } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { createLogShipper } from '../shared/logging/log-shipper.js';
import { createLogger } from '../shared/logging/logger.js';
import { buildDeps } from './deps.js';
import { openWorkerHttp } from './http.js';
import { startRoles } from './start-roles.js';

const STOP_DEADLINE_MS = 25_000;
const FLUSH_LOGS_WITHIN_MS = 2_000;

const config = loadOrExit(() => loadWorkerConfig());

const identity = { service: 'rollcall-worker', ...config.logging };
const localLog = createLogger(identity);
const shipper = config.firehose && createLogShipper();
const log = shipper ? createLogger({ ...identity, ship: shipper.write }) : localLog;

const lifecycle = startLifecycle(log, STOP_DEADLINE_MS);
const { onStop } = lifecycle;

try {
  const deps = buildDeps(config, { log, localLog, onStop });
  if (shipper) {
    shipper.connect(deps.queues.logs, (lines) => {
      log.warn({ 'labels.dropped_lines': lines }, 'log lines dropped');
    });
    onStop('log shipper', () => shipper.close(FLUSH_LOGS_WITHIN_MS));
  }
  const http = await openWorkerHttp(
    { ...deps, isStopping: () => lifecycle.isStopping },
    config.http,
  );
  onStop('http', () => http.close());
  startRoles(config, deps, lifecycle);
  log.info({ 'server.port': http.port, 'labels.roles': config.roles.join(',') }, 'worker started');
} catch (error) {
  log.fatal({ err: error }, 'the worker cannot start');
  await lifecycle.stop('start failed', 1);
}
