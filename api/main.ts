import { loadApiConfig, loadOrExit } from '../shared/config/config.js';
import { deadlines } from '../shared/lifecycle/deadlines.js';
import { startLifecycle } from '../shared/lifecycle/lifecycle.js';
import { openLogging } from '../shared/log-shipping/open-logging.js';
import { logMistakenNames } from '../shared/logging/log-mistaken-names.js';
import { startApi } from './start.js';

const config = loadOrExit(() => loadApiConfig());
const logging = loadOrExit(() => openLogging(config, 'rollcall-api'));
logMistakenNames(config, logging.log);
const lifecycle = startLifecycle(logging.log, deadlines.api.stopMs);
startApi(config, logging, lifecycle).catch((error: unknown) => {
  logging.log.fatal({ err: error }, 'API failed to start');
  void lifecycle.stop('start failed', 1, error);
});
