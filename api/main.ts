import { loadApiConfig, loadOrExit } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openProcessLog } from '../shared/logging/process-log.js';
import { openStandardOutput } from '../shared/logging/standard-output.js';
import { startApi } from './start.js';

const STOP_DEADLINE_MS = 15_000;

const config = loadOrExit(() => loadApiConfig());
const output = openStandardOutput();
const logs = loadOrExit(() => openProcessLog('rollcall-api', config, output));
output.reportTo(logs.log);
await startApi(config, logs, startLifecycle(logs.log, STOP_DEADLINE_MS));
