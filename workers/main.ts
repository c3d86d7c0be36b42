import { startupEvent } from '../shared/audit/audit.js';
import { loadOrExit, loadWorkerConfig } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openLogging } from '../shared/log-shipping/open-logging.js';
import { logRedisProblems } from '../shared/queues/log-redis-problems.js';
import { buildDeps } from './deps.js';
import { openWorkerHttp } from './http/http.js';
import { startRoles } from './start-roles.js';

const STOP_DEADLINE_MS = 25_000;
const FLUSH_DEADLINE_MS = 2_000;

const config = loadOrExit(() => loadWorkerConfig());
const logging = loadOrExit(() => openLogging(config, 'rollcall-worker'));
const { log, localLog } = logging;
const lifecycle = startLifecycle(log, STOP_DEADLINE_MS);
const { onStop } = lifecycle;
onStop('log spool', () => logging.close());

try {
  const deps = buildDeps(config, { log, localLog, onStop });
  const telling = new AbortController();
  void logRedisProblems(deps.queues, log, telling.signal);
  onStop('look at Redis', () => telling.abort());
  const shipping = logging.startShipping(deps.queues);
  onStop('log shipping', () => shipping.stop(FLUSH_DEADLINE_MS));
  const http = await openWorkerHttp(
    { ...deps, isStopping: () => lifecycle.isStopping },
    config.http,
  );
  onStop('http', () => http.close());
  startRoles(config, deps, lifecycle);
  log.info(
    { ...startupEvent, 'server.port': http.port, 'labels.roles': config.roles.join(',') },
    'worker started',
  );
} catch (error) {
  log.fatal({ err: error }, 'worker failed to start');
  await lifecycle.stop('start failed', 1);
}
