import { loadOrExit, loadWorkerConfig } from '../shared/config/config.js';
import { deadlines } from '../shared/lifecycle/deadlines.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openLogging } from '../shared/log-shipping/open-logging.js';
import { logMistakenNames } from '../shared/logging/log-mistaken-names.js';
import { startWorker } from './start.js';

const config = loadOrExit(() => loadWorkerConfig());
const logging = loadOrExit(() => openLogging(config, 'rollcall-worker'));
logMistakenNames(config, logging.log);
const lifecycle = startLifecycle(logging.log, deadlines.worker.stopMs);
const worker = startWorker(config, logging, lifecycle).catch((error: unknown) => {
  logging.log.fatal({ err: error }, 'worker failed to start');
  void lifecycle.stop('start failed', 1, error);
});
// The instance is about to be terminated. From the start on: by default the signal would end the process.
process.on('SIGUSR2', () => void worker.then((running) => running?.drain()));
