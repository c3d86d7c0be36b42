import { collectProcess } from '../shared/metrics/collect-process.js';
import { collectStores } from '../shared/metrics/collect-stores.js';
import { startupEvent } from '../shared/audit/audit.js';
import { alertSettings, startAlerting, webhooks } from '../shared/alerts/alerting.js';
import type { ApiConfig } from '../shared/config/config.js';
import { shareResults } from '../shared/health/readiness.js';
import { listen } from '../shared/lifecycle/http-server.js';
import type { Lifecycle } from '../shared/lifecycle/lifecycle.js';
import type { Logging } from '../shared/log-shipping/open-logging.js';
import { createPresence } from '../shared/presence/presence.js';
import { logRedisProblems } from '../shared/queues/log-redis-problems.js';
import { createListener, createOpsListener } from './app.js';
import { createConsole } from './console/console.js';
import { buildDeps, type ApiDeps } from './deps.js';
import { openHealthdLog } from './http/healthd-log.js';
import { securityHeaderValues } from './http/security-headers.js';
import { metricsRoutes } from './ops/metrics.routes.js';
import { closeApiServer, createHttpServer, type Listener } from './http/server.js';

const FLUSH_DEADLINE_MS = 2_000;

/** An API that listens. */
export interface RunningApi {
  readonly port: number;
  readonly deps: ApiDeps;
}

/** Opens one part of the API after the other, each with its release, and listens. */
export async function startApi(
  config: ApiConfig,
  logging: Logging,
  lifecycle: Lifecycle,
): Promise<RunningApi> {
  const { log } = logging;
  lifecycle.onStop('log spool', () => logging.close());

  const deps = await buildDeps(config, { log, onStop: lifecycle.onStop });

  collectStores(deps.metrics, { ...deps, spoolUse: logging.spoolUse });
  lifecycle.onStop(
    'event loop monitor',
    collectProcess(deps.metrics, { service: 'rollcall-api', ...config.logging }),
  );

  const checks = shareResults(deps.checks);
  const presence = createPresence({ ...deps, checks, service: 'rollcall-api', roles: [] });
  lifecycle.onStop('presence', (cause) => presence.stop(cause));

  const redisCheck = new AbortController();
  void logRedisProblems(deps.queues, log, redisCheck.signal);
  lifecycle.onStop('Redis check', () => redisCheck.abort());

  const shipping = logging.startShipping(deps.queues);
  lifecycle.onStop('log shipping', () => shipping.stop(FLUSH_DEADLINE_MS));

  startAlerts(config, { ...deps, checks }, logging, lifecycle);

  // Readiness is public: a flood of requests takes no more than one connection of each store.
  const publicChecks = shareResults(deps.checks, 0);
  const port = await listenToAll({ ...deps, checks: publicChecks }, config, logging, lifecycle);
  presence.start();
  lifecycle.onStop('presence', (cause) => presence.stopping(cause));
  return { port, deps };
}

/** Opens the API's listener, and that of the console if it has its own; resolves to the API's port. */
async function listenToAll(
  deps: ApiDeps,
  config: ApiConfig,
  logging: Logging,
  lifecycle: Lifecycle,
): Promise<number> {
  const { log } = logging;
  const { publicUrl, opsListener } = config;
  const { trustProxy } = config.http;
  const { neededRoles, environment } = alertSettings(config);
  const operatorConsole = createConsole(
    { ...deps, neededRoles },
    {
      publicUrl,
      operatorEmails: config.operatorEmails,
      isSecure: config.isProduction || publicUrl.startsWith('https:'),
      environment,
    },
  );
  const operators = {
    console: operatorConsole,
    metrics: metricsRoutes({ ...deps, metricsToken: config.metricsToken }),
  };
  const listener = createListener(deps, {
    publicUrl,
    trustProxy,
    passwordMinLength: config.passwords.minLength,
    isStopping: () => lifecycle.isStopping,
    ...(!opsListener && { operators }),
  });
  const opsServer = opsListener && {
    listener: createOpsListener(deps, { publicUrl, trustProxy }, operators),
    address: opsListener,
    variables: 'OPS_HOST and OPS_PORT',
  };
  const healthd =
    config.healthdDir === undefined ? undefined : openHealthdLog(config.healthdDir, log);
  lifecycle.onStop('health lines', () => healthd?.close());
  const server = {
    listener: healthd?.around(listener) ?? listener,
    address: config.http,
    variables: 'HOST and PORT',
  };
  const port = await serve(server, config, logging, lifecycle);
  if (opsServer) await serve(opsServer, config, logging, lifecycle);
  // Released before the servers: a stream of live updates would keep one from closing.
  lifecycle.onStop('console', () => operatorConsole.close());
  return port;
}

function startAlerts(
  config: ApiConfig,
  deps: ApiDeps,
  logging: Logging,
  lifecycle: Lifecycle,
): void {
  const alerting = startAlerting({
    ...deps,
    ...alertSettings(config),
    spoolUse: () => logging.spoolUse(),
    channels: webhooks(config.alerts),
  });
  lifecycle.onStop('alerting', () => alerting.stop());
}

/** Listens; resolves to the port. */
async function serve(
  {
    listener,
    address: { host, port: wanted },
    variables,
  }: {
    readonly listener: Listener;
    readonly address: { readonly host: string; readonly port: number };
    readonly variables: string;
  },
  config: ApiConfig,
  { log }: Logging,
  lifecycle: Lifecycle,
): Promise<number> {
  const server = createHttpServer(listener, log, securityHeaderValues(config.publicUrl));
  lifecycle.onStop('http server', () => closeApiServer(server));
  const port = await listen(server, wanted, host, variables);
  log.info(
    { ...startupEvent(config), 'server.address': host, 'server.port': port },
    'server listening',
  );
  return port;
}
