import { startupEvent } from '../shared/audit/audit.js';
import type { WorkerConfig } from '../shared/config/config.js';
import type { Lifecycle } from '../shared/lifecycle/lifecycle.js';
import type { ProcessLog } from '../shared/logging/process-log.js';
import { tellRedisProblems } from '../shared/queues/tell-redis-problems.js';
import { buildDeps, type WorkerDeps } from './deps.js';
import { openWorkerHttp } from './http/http.js';
import { startRoles } from './start-roles.js';

const FLUSH_LOGS_WITHIN_MS = 2_000;

/** A worker that does what its roles say. */
export interface RunningWorker {
  readonly port: number;
  readonly deps: WorkerDeps;
}

/** Opens one part of the worker after the other, each with its release, and starts its roles. */
export async function startWorker(
  config: WorkerConfig,
  { log, localLog, spool }: ProcessLog,
  lifecycle: Lifecycle,
): Promise<RunningWorker> {
  const { onStop } = lifecycle;
  onStop('log spool', () => spool?.close());
  const deps = buildDeps(config, { log, localLog, onStop });
  const telling = new AbortController();
  void tellRedisProblems(deps.queues, log, telling.signal);
  onStop('look at Redis', () => telling.abort());
  if (spool) {
    const { logs: queue, receipts, room } = deps.queues;
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
  return { port: http.port, deps };
}
