import { loadApiConfig, loadOrExit } from '../shared/config/config.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openLogging } from '../shared/log-shipping/open-logging.js';
import { startApi } from './start.js';

const STOP_DEADLINE_MS = 15_000;

const config = loadOrExit(() => loadApiConfig());
const logging = loadOrExit(() => openLogging(config, 'rollcall-api'));
await startApi(config, logging, startLifecycle(logging.log, STOP_DEADLINE_MS));
