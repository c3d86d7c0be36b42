import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { AppError } from '../../shared/errors/app-error.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { AllowedMethods } from './documented-paths.js';
import { answerProblem } from './problem.js';
import { openContext, pathOf, type RequestContext } from './request-context.js';
import { guardRequest } from './request-guard.js';

/** A JSON text that answers a GET with 200. */
export interface JsonAnswer {
  readonly body: string;
  /** The value of the header `Link`. */
  readonly link?: string | undefined;
}

/**
 * Answers a GET in front of Express, which would cost more than the answer. `undefined` when it is not one of its own, or has
 * anything unusual about it: Express then answers it, by the same declaration of the route.
 */
export type FrontRoute = (
  req: IncomingMessage,
  context: RequestContext,
) => JsonAnswer | Promise<JsonAnswer> | undefined;

export interface FrontOptions {
  readonly log: Logger;
  readonly clientAddress: (req: IncomingMessage) => string | undefined;
  /** Headers of every response. */
  readonly headers: Readonly<Record<string, string>>;
  readonly allowedMethods: AllowedMethods;
  /** Beginnings of paths that are served without being documented. */
  readonly undocumented: readonly string[];
  readonly routes: readonly FrontRoute[];
  /** Express, for all the rest. */
  readonly app: RequestListener;
}

/**
 * What every request passes first: it gets its context and is guarded. Then the front answers what needs no router: the hot
 * routes, a path or a method that there is not, and OPTIONS.
 */
export function createFront(options: FrontOptions): RequestListener {
  const { log, clientAddress } = options;
  const headerMap = new Map(Object.entries(options.headers));
  const sendJson = createSendJson(options.headers);

  return (req, res) => {
    const context = openContext(log, req, res, clientAddress(req));
    const refuse = (error: unknown): void => {
      setHeaders(res, headerMap, context);
      answerProblem(error, req, res);
    };
    try {
      guardRequest(req);
      const answer = req.method === 'GET' ? findAnswer(options.routes, req, context) : undefined;
      if (answer === undefined) {
        setHeaders(res, headerMap, context);
        if (isToBeRouted(options, req, res)) options.app(req, res);
      } else if (answer instanceof Promise)
        answer.then((json) => sendJson(res, context, json)).catch(refuse);
      else sendJson(res, context, answer);
    } catch (error) {
      refuse(error);
    }
  };
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
  { allowedMethods, undocumented }: FrontOptions,
  req: IncomingMessage,
  res: ServerResponse,
): boolean {
  const path = pathOf(req);
  const allowed = allowedMethods(path);
  if (!allowed) {
    if (undocumented.some((start) => path.toLowerCase().startsWith(start))) return true;
    throw new AppError('not_found');
  }
  if (allowed.includes(req.method ?? '')) return true;
  const headers = { Allow: allowed.join(', ') };
  if (req.method !== 'OPTIONS') throw new AppError('method_not_allowed', { headers });
  res.writeHead(204, headers).end();
  return false;
}
