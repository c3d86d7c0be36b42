import { loadApiConfig, loadOrExit } from '../shared/config/config.js';
import { deadlines } from '../shared/lifecycle/deadlines.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openLogging } from '../shared/log-shipping/open-logging.js';
import { startApi } from './start.js';

const config = loadOrExit(() => loadApiConfig());
const logging = loadOrExit(() => openLogging(config, 'rollcall-api'));
void startApi(config, logging, startLifecycle(logging.log, deadlines.api.stopMs));
