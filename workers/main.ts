import { loadOrExit, loadWorkerConfig } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openProcessLog } from '../shared/logging/process-log.js';
import { openStandardOutput } from '../shared/logging/standard-output.js';
import { startWorker } from './start.js';

const STOP_DEADLINE_MS = 25_000;

const config = loadOrExit(() => loadWorkerConfig());
const output = openStandardOutput();
const logs = loadOrExit(() => openProcessLog('rollcall-worker', config, output));
output.reportTo(logs.log);
const lifecycle = startLifecycle(logs.log, STOP_DEADLINE_MS);
try {
  await startWorker(config, logs, lifecycle);
} catch (error) {
  logs.log.fatal({ err: error }, 'the worker cannot start');
  await lifecycle.stop('start failed', 1);
}
