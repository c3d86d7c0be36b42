import { loadOrExit, loadWorkerConfig } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openLogging } from '../shared/log-shipping/open-logging.js';
import { startWorker } from './start.js';

const STOP_DEADLINE_MS = 25_000;

const config = loadOrExit(() => loadWorkerConfig());
const logging = loadOrExit(() => openLogging(config, 'rollcall-worker'));
const lifecycle = startLifecycle(logging.log, STOP_DEADLINE_MS);
try {
  await startWorker(config, logging, lifecycle);
} catch (error) {
  logging.log.fatal({ err: error }, 'worker failed to start');
  await lifecycle.stop('start failed', 1, error);
}
