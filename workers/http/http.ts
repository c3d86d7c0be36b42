import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { AppError } from '../../shared/errors/app-error.js';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import type { Check } from '../../shared/health/checks.js';
import { readiness } from '../../shared/health/readiness.js';
import { requestIdFrom } from '../../shared/http/request-headers.js';
import { deadlines } from '../../shared/lifecycle/deadlines.js';
import { closeServer, listen } from '../../shared/lifecycle/http-server.js';
import {
  refuseBrokenRequests,
  sentStatusOf,
} from '../../shared/lifecycle/refuse-broken-requests.js';
import { maskError } from '../../shared/logging/mask.js';
import { isTaskName, type TaskName } from '../../shared/tasks/catalogue.js';
import type { DrainState } from '../jobs/drain.js';
import type { Tasks } from '../tasks/tasks.js';
import {
  notAllowed,
  problem,
  readBody,
  RETRY_SOON,
  tooLarge,
  type WorkerResponse,
} from './http-messages.js';
import { createExposition, type Exposition } from '../../shared/metrics/exposition.js';
import { mayReadMetrics } from '../../shared/metrics/metrics-access.js';
import type { Metrics } from '../../shared/metrics/metrics.js';
import { isFromPrivatePeer } from './private-peers.js';
import { receiveQueueMessage, type QueueMessageDeps } from './queue-message.route.js';

export interface WorkerHttpDeps extends QueueMessageDeps {
  readonly tasks: Tasks;
  readonly checks: Readonly<Record<string, Check>>;
  readonly metrics: Metrics;
  /** The token of those who may read the metrics; without one only programs on this host may. */
  readonly metricsToken: string | undefined;
  /** True once the process has begun to stop. */
  readonly isStopping: () => boolean;
  readonly drainState: () => DrainState;
}

export interface WorkerHttp {
  readonly port: number;
  close(): Promise<void>;
}

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
  workerDeps: WorkerHttpDeps,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<WorkerHttp> {
  const deps: ServeDeps = { ...workerDeps, expose: createExposition(workerDeps.metrics) };
  const server = createServer(
    {
      keepAliveTimeout: deadlines.worker.keepAliveMs,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      // Node would answer without a problem document.
      requireHostHeader: false,
    },
    (req, res) => void serve(deps, req, res),
  );
  refuseBrokenRequests({ server, log: deps.log, headers: DEFAULT_HEADERS });
  const actualPort = await listen(server, port, host, 'HOST and WORKER_PORT');
  return { port: actualPort, close: () => closeServer(server, CUT_AFTER_MS) };
}

interface ServeDeps extends WorkerHttpDeps {
  readonly expose: () => Promise<Exposition>;
}

async function serve(deps: ServeDeps, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const requestId = requestIdFrom(req.headers['x-request-id']);
  res.setHeader('X-Request-Id', requestId);
  let response: WorkerResponse;
  try {
    response = await route(deps, req, requestId);
  } catch (error) {
    if (isAborted(req)) {
      // One that was refused has been logged as that.
      if (sentStatusOf(res) === undefined)
        deps.log.warn({ err: maskError(error), 'http.request.id': requestId }, 'request aborted');
      return;
    }
    response = failed(deps, error, requestId);
  }
  const { body: content } = response;
  const body = Buffer.from(typeof content === 'string' ? content : JSON.stringify(content));
  res.writeHead(response.status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    ...DEFAULT_HEADERS,
    ...response.headers,
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** True when the connection ended before the request was complete. */
const isAborted = (req: IncomingMessage): boolean => req.destroyed && !req.complete;

function failed({ log }: WorkerHttpDeps, error: unknown, requestId: string): WorkerResponse {
  const fields = { err: maskError(error), 'http.request.id': requestId };
  const isUnavailable = error instanceof AppError && error.code === 'unavailable';
  if (isUnavailable || isDatabaseUnavailable(error)) {
    log.warn(fields, 'service unavailable');
    return problem('unavailable', requestId, RETRY_SOON);
  }
  log.error(fields, 'request failed');
  return problem('internal', requestId);
}

async function route(
  deps: ServeDeps,
  req: IncomingMessage,
  requestId: string,
): Promise<WorkerResponse> {
  if (!isFromPrivatePeer(req)) return problem('forbidden', requestId);
  const path = (req.url ?? '/').split('?', 1)[0] ?? '/';
  if (path === '/metrics' && !mayReadMetrics(req, deps.metricsToken))
    return problem('not_found', requestId);
  const read = reads.get(path);
  if (read) {
    const isRead = req.method === 'GET' || req.method === 'HEAD';
    return isRead ? read(deps) : notAllowed('GET, HEAD', requestId);
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

/** What is read, by its path. */
const reads = new Map<string, (deps: ServeDeps) => Promise<WorkerResponse>>([
  ['/health/live', async () => ({ status: 200, body: { status: 'alive' } })],
  ['/health/ready', ready],
  ['/metrics', scrape],
]);

async function scrape({ expose }: ServeDeps): Promise<WorkerResponse> {
  const { contentType, text } = await expose();
  return { status: 200, body: text, headers: { 'Content-Type': contentType } };
}

/** A worker that is drained is not ready, and says how far it is: whoever terminates its instance waits for that. */
async function ready({ checks, isStopping, drainState }: WorkerHttpDeps): Promise<WorkerResponse> {
  const jobs = drainState();
  const report = await readiness(checks, () => isStopping() || jobs !== 'working');
  if (report.status === 'ready') return { status: 200, body: report };
  const body = jobs === 'working' ? report : { ...report, jobs };
  return { status: 503, body, headers: RETRY_SOON };
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
  if (isStopping()) return problem('unavailable', requestId, RETRY_SOON);
  return { status: 200, body: { task: name, result } };
}
