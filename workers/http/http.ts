import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import type { Check } from '../../shared/health/checks.js';
import { readiness } from '../../shared/health/readiness.js';
import { requestIdFrom } from '../../shared/http/request-headers.js';
import { closeServer, listen } from '../../shared/lifecycle/http-server.js';
import { refuseBrokenRequests } from '../../shared/lifecycle/refuse-broken-requests.js';
import { isTaskName, type TaskName } from '../../shared/tasks/catalogue.js';
import { maskError } from '../mask.js';
import type { Tasks } from '../tasks/tasks.js';
import { notAllowed, problem, readBody, tooLarge, type WorkerResponse } from './http-messages.js';
import { isFromPrivatePeer } from './private-peers.js';
import { receiveQueueMessage, type QueueMessageDeps } from './queue-message.route.js';

export interface WorkerHttpDeps extends QueueMessageDeps {
  readonly tasks: Tasks;
  readonly checks: Readonly<Record<string, Check>>;
  /** True once the process has begun to stop. */
  readonly isStopping: () => boolean;
}

export interface WorkerHttp {
  readonly port: number;
  close(): Promise<void>;
}

/** Longer than the worker tier's daemon keeps idle connections: a minute. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** Short: draining the jobs takes most of the stop time, and the daemon retries a request that is cut off. */
const CUT_AFTER_MS = 1_000;
/** Tasks take no input; the daemon sends an empty body of type JSON. */
const MAX_TASK_BODY_BYTES = 64 * 1_024;
const DEFAULT_HEADERS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };

/**
 * Serves health checks, and the daemon of the Elastic Beanstalk worker tier, which treats only 200 as success. Requests from
 * other than loopback and private peers, and forwarded ones, are rejected. Rejects when the address cannot be bound.
 */
export async function openWorkerHttp(
  deps: WorkerHttpDeps,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<WorkerHttp> {
  const server = createServer(
    {
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // Node would answer without a problem document.
      requireHostHeader: false,
    },
    (req, res) => void serve(deps, req, res),
  );
  refuseBrokenRequests(server, deps.log, DEFAULT_HEADERS);
  const actualPort = await listen(server, port, host);
  return { port: actualPort, close: () => closeServer(server, CUT_AFTER_MS) };
}

async function serve(
  deps: WorkerHttpDeps,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const requestId = requestIdFrom(req.headers['x-request-id']);
  let response: WorkerResponse;
  try {
    response = await route(deps, req, requestId);
  } catch (error) {
    if (isAborted(req)) {
      deps.log.warn({ err: maskError(error), 'http.request.id': requestId }, 'request aborted');
      return;
    }
    response = failed(deps, error, requestId);
  }
  const body = Buffer.from(JSON.stringify(response.body));
  res.writeHead(response.status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    ...DEFAULT_HEADERS,
    'X-Request-Id': requestId,
    ...response.headers,
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** True when the connection ended before the request was complete. */
const isAborted = (req: IncomingMessage): boolean => req.destroyed && !req.complete;

function failed({ log }: WorkerHttpDeps, error: unknown, requestId: string): WorkerResponse {
  const fields = { err: maskError(error), 'http.request.id': requestId };
  if (isDatabaseUnavailable(error)) {
    log.warn(fields, 'service unavailable');
    return problem('unavailable', requestId, { 'Retry-After': '5' });
  }
  log.error(fields, 'request failed');
  return problem('internal', requestId);
}

async function route(
  deps: WorkerHttpDeps,
  req: IncomingMessage,
  requestId: string,
): Promise<WorkerResponse> {
  if (!isFromPrivatePeer(req)) return problem('forbidden', requestId);
  const path = (req.url ?? '/').split('?', 1)[0] ?? '/';
  if (path === '/health/live' || path === '/health/ready') {
    if (req.method !== 'GET' && req.method !== 'HEAD') return notAllowed('GET, HEAD', requestId);
    return path === '/health/live' ? { status: 200, body: { status: 'alive' } } : ready(deps);
  }
  if (path === '/sqs') {
    if (req.method !== 'POST') return notAllowed('POST', requestId);
    return receiveQueueMessage(deps, req, requestId);
  }
  const task = /^\/tasks\/([a-z0-9-]{1,64})$/.exec(path)?.[1];
  if (task === undefined || !isTaskName(task)) return problem('not_found', requestId);
  if (req.method !== 'POST') return notAllowed('POST', requestId);
  return runTask(deps, task, req, requestId);
}

async function ready({ checks, isStopping }: WorkerHttpDeps): Promise<WorkerResponse> {
  const report = await readiness(checks, isStopping);
  if (report.status === 'ready') return { status: 200, body: report };
  return { status: 503, body: report, headers: { 'Retry-After': '5' } };
}

/** A task that a shutdown interrupts or prevents is answered with 503, so that the daemon retries. */
async function runTask(
  { tasks, isStopping }: WorkerHttpDeps,
  name: TaskName,
  req: IncomingMessage,
  requestId: string,
): Promise<WorkerResponse> {
  if (!(await readBody(req, MAX_TASK_BODY_BYTES))) return tooLarge(requestId);
  const result = await tasks.run(name, requestId);
  if (isStopping()) return problem('unavailable', requestId, { 'Retry-After': '5' });
  return { status: 200, body: { task: name, result } };
}
