import { startupEvent } from '../shared/audit/audit.js';
import { loadOrExit, loadWorkerConfig } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { createLogger } from '../shared/logging/logger.js';
import { createReceipts } from '../shared/log-shipping/receipts.js';
import { openSpool } from '../shared/log-shipping/spool.js';
import { openStandardOutput } from '../shared/logging/standard-output.js';
import { logRedisProblems } from '../shared/queues/log-redis-problems.js';
import { buildDeps } from './deps.js';
import { openWorkerHttp } from './http/http.js';
import { startRoles } from './start-roles.js';

const STOP_DEADLINE_MS = 25_000;
const FLUSH_LOGS_WITHIN_MS = 2_000;

const config = loadOrExit(() => loadWorkerConfig());

const identity = { service: 'rollcall-worker', ...config.logging };
const output = openStandardOutput();
const localLog = createLogger({ ...identity, destination: output });
const { spool: spooled } = config;
const spool = spooled && loadOrExit(() => openSpool({ ...spooled, localLog, print: output.write }));
const log = spool ? createLogger({ ...identity, destination: spool }) : localLog;

output.reportTo(log);
const lifecycle = startLifecycle(log, STOP_DEADLINE_MS);
const { onStop } = lifecycle;
onStop('log spool', () => spool?.close());

try {
  const deps = buildDeps(config, { log, localLog, onStop });
  const telling = new AbortController();
  void logRedisProblems(deps.queues, log, telling.signal);
  onStop('look at Redis', () => telling.abort());
  if (spool) {
    const { logs: queue, logsRedis, room } = deps.queues;
    const receipts = createReceipts(logsRedis);
    const shipping = spool.startShipping({ queue, receipts, room: room.logs, log });
    onStop('log shipping', () => shipping.stop(FLUSH_LOGS_WITHIN_MS));
  }
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
