import { collectProcess } from '../shared/metrics/collect-process.js';
import { collectStores } from '../shared/metrics/collect-stores.js';
import { startupEvent } from '../shared/audit/audit.js';
import { alertSettings, startAlerting, webhooks } from '../shared/alerts/alerting.js';
import type { WorkerConfig } from '../shared/config/config.js';
import { shareResults } from '../shared/health/readiness.js';
import type { Lifecycle } from '../shared/lifecycle/lifecycle.js';
import type { Logging } from '../shared/log-shipping/open-logging.js';
import { createPresence } from '../shared/presence/presence.js';
import { logRedisProblems } from '../shared/queues/log-redis-problems.js';
import { buildDeps, type WorkerDeps } from './deps.js';
import { createAlertMails } from './mail/alert-mail.js';
import { startPublishing } from './cloudwatch/publishing.js';
import { openWorkerHttp } from './http/http.js';
import { createDrain } from './jobs/drain.js';
import { startRoles } from './start-roles.js';

const FLUSH_DEADLINE_MS = 2_000;

/** A worker that does what its roles say. */
export interface RunningWorker {
  readonly port: number;
  readonly deps: WorkerDeps;
  /** Takes no more jobs; HTTP, relay and tasks go on. Resolves when no job is in flight. */
  drain(): Promise<void>;
}

/** Opens one part of the worker after the other, each with its release, and starts its roles. */
export async function startWorker(
  config: WorkerConfig,
  logging: Logging,
  lifecycle: Lifecycle,
): Promise<RunningWorker> {
  const { log, localLog } = logging;
  const { onStop } = lifecycle;
  onStop('log spool', () => logging.close());
  const deps = await buildDeps(config, { log, localLog, onStop });
  collectStores(deps.metrics, { ...deps, spoolUse: logging.spoolUse });
  onStop(
    'event loop monitor',
    collectProcess(deps.metrics, { service: 'rollcall-worker', ...config.logging }),
  );
  const checks = shareResults(deps.checks);
  const presence = createPresence({
    ...deps,
    checks,
    service: 'rollcall-worker',
    roles: config.roles,
    facts: deps.faults.facts,
  });
  onStop('presence', (cause) => presence.stop(cause));
  const redisCheck = new AbortController();
  void logRedisProblems(deps.queues, log, redisCheck.signal);
  onStop('Redis check', () => redisCheck.abort());
  const shipping = logging.startShipping(deps.queues);
  onStop('log shipping', () => shipping.stop(FLUSH_DEADLINE_MS));
  const alerting = startAlerting({
    ...deps,
    checks,
    ...alertSettings(config),
    spoolUse: () => logging.spoolUse(),
    channels: [
      ...webhooks(config.alerts),
      ...(config.roles.includes('mail') ? createAlertMails(deps.mailer, config) : []),
    ],
  });
  onStop('alerting', () => alerting.stop());
  const drain = createDrain(log);
  const http = await openWorkerHttp(
    {
      ...deps,
      metricsToken: config.metricsToken,
      isStopping: () => lifecycle.isStopping,
      drainState: () => drain.state,
    },
    config.http,
  );
  onStop('http', () => http.close());
  startRoles(config, deps, lifecycle, drain);
  publishMetrics(config, deps, lifecycle);
  log.info(
    { ...startupEvent(config), 'server.port': http.port, 'labels.roles': config.roles.join(',') },
    'worker started',
  );
  presence.start();
  onStop('presence', (cause) => presence.stopping(cause));
  return { port: http.port, deps, drain: () => drain.start() };
}

function publishMetrics(
  { roles, mail }: WorkerConfig,
  deps: WorkerDeps,
  { onStop }: Lifecycle,
): void {
  const { cloudWatch } = deps;
  if (!cloudWatch) return;
  const publishing = startPublishing({ ...deps, cloudWatch, roles, mail });
  onStop('metrics for CloudWatch', () => publishing.stop());
}
