import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { AppError } from '../../shared/errors/app-error.js';
import { hasToWait } from '../../shared/lifecycle/http-server.js';
import type { RootLogger } from '../../shared/logging/logger.js';
import type { Tracer } from '../../shared/tracing/tracer.js';
import { normalizedPath, type FindPath } from './documented-paths.js';
import { createFewPerTurn } from './few-per-turn.js';
import { answerProblem, isClosing } from './problem.js';
import { openContext, pathOf, type RequestContext } from './request-context.js';
import { guardRequest } from './request-guard.js';
import type { RecordRequest } from './request-metrics.js';

/** A JSON text that answers a GET with 200. */
export interface JsonAnswer {
  readonly body: string;
  /** The value of the header `Link`. */
  readonly link?: string | undefined;
}

/**
 * Answers a GET in front of Express, which would cost more than the answer. `undefined` when it is not one of its own, or has
 * anything unusual about it: Express then answers it, by the same declaration of the route. Sets the context's route when it
 * is one of its own.
 */
export type FrontRoute = (
  req: IncomingMessage,
  context: RequestContext,
) => JsonAnswer | Promise<JsonAnswer> | undefined;

/** @throws {AppError} for a request that is refused whatever its body says. */
export type Gate = (context: RequestContext) => void;

export interface FrontOptions {
  readonly log: RootLogger;
  readonly record: RecordRequest;
  readonly tracer: Tracer | undefined;
  readonly clientAddress: (req: IncomingMessage) => string | undefined;
  /** Headers of every response. */
  readonly headers: Readonly<Record<string, string>>;
  readonly findPath: FindPath;
  /** Beginnings of paths that are served without being documented. */
  readonly undocumented: readonly string[];
  readonly routes: readonly FrontRoute[];
  /** By path: what each POST passes before it is routed, a few in one turn of the event loop. */
  readonly gates: ReadonlyMap<string, Gate>;
  /** Express, for all the rest. */
  readonly app: RequestListener;
}

/** How many requests start in one turn that pass a gate; each may take as long as a dozen others. */
const GATED_PER_TURN = 8;

/**
 * What every request passes first: it gets its context and is guarded. Then the front answers what needs no router: the hot
 * routes, a path or a method that there is not, OPTIONS, and what a gate refuses.
 */
export function createFront(options: FrontOptions): RequestListener {
  const { log, record, tracer, clientAddress, gates } = options;
  const observers = { record, tracer };
  const headerMap = new Map(Object.entries(options.headers));
  const sendJson = createSendJson(options.headers);
  const fewPerTurn = createFewPerTurn(GATED_PER_TURN);

  const answerRequest = (
    req: IncomingMessage,
    res: ServerResponse,
    context: RequestContext,
  ): void => {
    const refuse = (error: unknown): void => {
      setHeaders(res, headerMap, context);
      answerProblem(error, req, res);
    };
    const route = (): void => {
      setHeaders(res, headerMap, context);
      if (isToBeRouted(options, context, req, res)) options.app(req, res);
    };
    try {
      guardRequest(req);
      const answer = req.method === 'GET' ? findAnswer(options.routes, req, context) : undefined;
      const gate = req.method === 'POST' ? findGate(gates, req, context) : undefined;
      if (gate) fewPerTurn(() => passGate(gate, context, { route, refuse }));
      else if (answer === undefined) route();
      else if (answer instanceof Promise)
        answer.then((json) => sendJson(res, context, json)).catch(refuse);
      else sendJson(res, context, answer);
    } catch (error) {
      refuse(error);
    }
  };

  return (req, res) => {
    if (isClosing(req)) return;
    // Before it waits: what breaks its body meanwhile is logged by its id, and its time is what the client waits.
    const context = openContext(log, req, res, clientAddress(req), observers);
    // No arrow function: V8 would make room for what it captures in every request, waiting or not.
    if (hasToWait(res)) inTurn(res, answerRequest.bind(undefined, req, res, context));
    else answerRequest(req, res, context);
  };
}

/**
 * Starts a pipelined request once the answers before it have ended. Behind a last answer, or when the client has gone, that
 * never comes, and the request is dropped with its connection (RFC 9112, 9.6).
 */
function inTurn(res: ServerResponse, start: () => void): void {
  res.once('socket', () => {
    // In a turn of its own: Node is still ending the answer before, and many may wait on one connection.
    setImmediate(() => {
      if (res.socket?.writable) start();
    });
  });
}

function findGate(
  gates: ReadonlyMap<string, Gate>,
  req: IncomingMessage,
  context: RequestContext,
): Gate | undefined {
  const path = normalizedPath(pathOf(req));
  const gate = gates.get(path);
  if (gate) context.route = path;
  return gate;
}

function passGate(
  gate: Gate,
  context: RequestContext,
  then: { readonly route: () => void; readonly refuse: (error: unknown) => void },
): void {
  try {
    gate(context);
    then.route();
  } catch (error) {
    then.refuse(error);
  }
}

function findAnswer(
  routes: readonly FrontRoute[],
  req: IncomingMessage,
  context: RequestContext,
): JsonAnswer | Promise<JsonAnswer> | undefined {
  for (const route of routes) {
    const answer = route(req, context);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

function setHeaders(
  res: ServerResponse,
  headers: Map<string, string>,
  { requestId }: RequestContext,
): void {
  res.setHeader('X-Request-Id', requestId);
  res.setHeaders(headers);
}

/** All headers at once: setting one after another would check and copy each. */
function createSendJson(headers: Readonly<Record<string, string>>) {
  const fixed = [
    'Content-Type',
    'application/json; charset=utf-8',
    ...Object.entries(headers).flat(),
  ];
  return (res: ServerResponse, { requestId }: RequestContext, { body, link }: JsonAnswer): void => {
    const length = String(Buffer.byteLength(body));
    const all = [...fixed, 'X-Request-Id', requestId, 'Content-Length', length];
    if (link !== undefined) all.push('Link', link);
    res.writeHead(200, all).end(body);
  };
}

/**
 * False when it has answered OPTIONS.
 * @throws {AppError} `not_found` for a path that there is not, `method_not_allowed` with `Allow` for a method.
 */
function isToBeRouted(
  { findPath, undocumented }: FrontOptions,
  context: RequestContext,
  req: IncomingMessage,
  res: ServerResponse,
): boolean {
  const path = pathOf(req);
  // About the server in general: RFC 9110, 9.3.7.
  if (req.method === 'OPTIONS' && path === '*') {
    res.writeHead(204).end();
    return false;
  }
  const found = findPath(path);
  const route = found?.template ?? beginningOf(undocumented, path);
  if (route === undefined) throw new AppError('not_found');
  context.route = route;
  if (!found || found.methods.includes(req.method ?? '')) return true;
  const headers = { Allow: found.methods.join(', ') };
  if (req.method !== 'OPTIONS') throw new AppError('method_not_allowed', { headers });
  res.writeHead(204, headers).end();
  return false;
}

function beginningOf(beginnings: readonly string[], path: string): string | undefined {
  const spelling = path.toLowerCase();
  return beginnings.find((start) => spelling.startsWith(start));
}
