import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isDatabaseUnavailable } from '../../shared/database/failures.js';
import type { Check } from '../../shared/health/checks.js';
import { readiness } from '../../shared/health/readiness.js';
import { requestIdFrom } from '../../shared/http/request-headers.js';
import { closeServer, listen } from '../../shared/lifecycle/http-server.js';
import { refuseBrokenRequests } from '../../shared/lifecycle/refuse-broken-requests.js';
import { maskError } from '../mask.js';
import { isTaskName, type TaskName, type Tasks } from '../tasks/tasks.js';
import { notAllowed, problem, tooLarge, type Answer } from './http-messages.js';
import { isFromNear } from './private-peers.js';
import { takeQueueMessage, type QueueMessageDeps } from './queue-message.route.js';
import { readBody } from './read-body.js';

export interface WorkerHttpDeps extends QueueMessageDeps {
  readonly tasks: Tasks;
  readonly checks: Readonly<Record<string, Check>>;
  /** True once the process has begun to stop. */
  readonly isStopping: () => boolean;
}

/** The worker's HTTP server. */
export interface WorkerHttp {
  readonly port: number;
  close(): Promise<void>;
}

/** The daemon of the worker tier keeps idle connections for a minute and posts again if it meets a closed one. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
/** The jobs under way have used up most of the time to stop; a task that is cut off is posted again. */
const CUT_AFTER_MS = 1_000;
/** Tasks take no input; the daemon sends an empty body of type JSON. */
const MAX_TASK_BODY_BYTES = 64 * 1_024;
const ALWAYS = { 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' };

/**
 * Listens for health checks and for the daemon of the Elastic Beanstalk worker tier, which takes nothing but 200 for
 * an answer. Only loopback and private peers are served, and nothing that they pass on for others. Rejects when the
 * address cannot be listened on.
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
  refuseBrokenRequests(server, deps.log, ALWAYS);
  const actualPort = await listen(server, port, host);
  return { port: actualPort, close: () => closeServer(server, CUT_AFTER_MS) };
}

async function serve(
  deps: WorkerHttpDeps,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const requestId = requestIdFrom(req.headers['x-request-id']);
  let answer: Answer;
  try {
    answer = await route(deps, req, requestId);
  } catch (error) {
    if (hasHungUp(req)) {
      deps.log.warn({ err: maskError(error), 'http.request.id': requestId }, 'request aborted');
      return;
    }
    answer = failed(deps, error, requestId);
  }
  const body = Buffer.from(JSON.stringify(answer.body));
  res.writeHead(answer.status, {
    'Content-Type': 'application/json',
    'Content-Length': body.length,
    ...ALWAYS,
    'X-Request-Id': requestId,
    ...answer.headers,
  });
  res.end(req.method === 'HEAD' ? undefined : body);
}

/** True for a client that did not send its request to the end, or was cut off while it did. */
const hasHungUp = (req: IncomingMessage): boolean => req.destroyed && !req.complete;

function failed({ log }: WorkerHttpDeps, error: unknown, requestId: string): Answer {
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
): Promise<Answer> {
  if (!isFromNear(req)) return problem('forbidden', requestId);
  const path = (req.url ?? '/').split('?', 1)[0] ?? '/';
  if (path === '/health/live' || path === '/health/ready') {
    if (req.method !== 'GET' && req.method !== 'HEAD') return notAllowed('GET, HEAD', requestId);
    return path === '/health/live' ? { status: 200, body: { status: 'alive' } } : ready(deps);
  }
  if (path === '/sqs') {
    if (req.method !== 'POST') return notAllowed('POST', requestId);
    return takeQueueMessage(deps, req, requestId);
  }
  const task = /^\/tasks\/([a-z0-9-]{1,64})$/.exec(path)?.[1];
  if (task === undefined || !isTaskName(task)) return problem('not_found', requestId);
  if (req.method !== 'POST') return notAllowed('POST', requestId);
  return runTask(deps, task, req, requestId);
}

async function ready({ checks, isStopping }: WorkerHttpDeps): Promise<Answer> {
  const report = await readiness(checks, isStopping);
  if (report.status === 'ready') return { status: 200, body: report };
  return { status: 503, body: report, headers: { 'Retry-After': '5' } };
}

/** A task that the end of the process cut short, or kept from beginning, is not done: the daemon shall ask again. */
async function runTask(
  { tasks, isStopping }: WorkerHttpDeps,
  name: TaskName,
  req: IncomingMessage,
  requestId: string,
): Promise<Answer> {
  if (!(await readBody(req, MAX_TASK_BODY_BYTES))) return tooLarge(requestId);
  const result = await tasks.run(name, requestId);
  if (isStopping()) return problem('unavailable', requestId, { 'Retry-After': '5' });
  return { status: 200, body: { task: name, result } };
}
