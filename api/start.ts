import { startupEvent } from '../shared/audit/audit.js';
import type { ApiConfig } from '../shared/config/config.js';
import type { Lifecycle } from '../shared/lifecycle/lifecycle.js';
import type { ProcessLog } from '../shared/logging/process-log.js';
import { tellRedisProblems } from '../shared/queues/tell-redis-problems.js';
import { createApp } from './app.js';
import { buildDeps, type ApiDeps } from './deps.js';
import { securityHeaderValues } from './http/security-headers.js';
import { closeServer, createHttpServer, listen } from './http/server.js';

const FLUSH_DEADLINE_MS = 2_000;

/** An API that listens. */
export interface RunningApi {
  readonly port: number;
  readonly deps: ApiDeps;
}

/** Opens one part of the API after the other, each with its release, and listens. */
export async function startApi(
  config: ApiConfig,
  { log, spool }: ProcessLog,
  lifecycle: Lifecycle,
): Promise<RunningApi> {
  lifecycle.onStop('log spool', () => spool?.close());

  const deps = await buildDeps(config, log);
  lifecycle.onStop('database and queues', () => deps.close());

  const telling = new AbortController();
  void tellRedisProblems(deps.queues, log, telling.signal);
  lifecycle.onStop('look at Redis', () => telling.abort());

  if (spool) {
    const { logs: queue, receipts, room } = deps.queues;
    const shipping = spool.startShipping({ queue, receipts, room: room.logs, log });
    lifecycle.onStop('log shipping', () => shipping.stop(FLUSH_DEADLINE_MS));
  }

  const app = createApp(deps, {
    publicUrl: config.publicUrl,
    trustProxy: config.http.trustProxy,
    passwordMinLength: config.passwords.minLength,
    isStopping: () => lifecycle.isStopping,
  });
  const server = createHttpServer(app, log, securityHeaderValues(config.publicUrl));
  lifecycle.onStop('http server', () => closeServer(server));

  const port = await listen(server, config.http.port, config.http.host);
  log.info(
    { ...startupEvent, 'server.address': config.http.host, 'server.port': port },
    'listening',
  );
  return { port, deps };
}
