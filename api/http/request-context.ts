import { randomBytes } from 'node:crypto';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Cause } from '../../shared/audit/audit.js';
import { requestIdFrom } from '../../shared/http/request-headers.js';
import type { Logger } from '../../shared/logging/logger.js';
import { maskPath } from '../../shared/logging/mask.js';
import type { Principal } from '../../shared/models/index.js';

/** What is known about a request besides what it asks for. */
export interface RequestContext {
  readonly requestId: string;
  /** W3C Trace Context: 32 hexadecimal digits. A client may have chosen it, and the request's id as well. */
  readonly traceId: string;
  /** This server's own id of the request, 16 hexadecimal digits; no client can choose it. */
  readonly spanId: string;
  readonly log: Logger;
  readonly startedAt: bigint;
  /** The admin who asks, once that is proven. */
  adminId?: number;
  /** The same, with its session; set by the admin guard. */
  principal?: Principal;
}

const contexts = new WeakMap<Request, RequestContext>();

/** The context that {@link requestContext} made for this request. */
export function contextOf(req: Request): RequestContext {
  const context = contexts.get(req);
  if (!context) throw new Error('The request-context middleware has not run');
  return context;
}

/** The admin who asks. @throws when the route is not behind the admin guard: a fault of ours, answered by 500. */
export function principalOf(req: Request): Principal {
  const { principal } = contextOf(req);
  if (!principal) throw new Error('The route is not behind the admin guard');
  return principal;
}

/** The path that was asked for: without the query, which may hold a token, and the host of an absolute address. */
export const pathOf = ({ originalUrl }: Request): string =>
  originalUrl.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?]*/i, '').split('?', 1)[0] ?? '';

/** The request as the cause of what it makes happen. */
export function causeOf(req: Request): Cause {
  const { requestId, traceId, spanId } = contextOf(req);
  return { requestId, traceId, spanId, ip: req.ip, userAgent: req.get('user-agent') };
}

/** Names the request, answers with that name in `X-Request-Id`, and writes one log line when it is over. */
export function requestContext(log: Logger): RequestHandler {
  return (req: Request, res: Response, next: NextFunction) => {
    const requestId = requestIdFrom(req.get('x-request-id'));
    const traceId = traceIdIn(req.get('traceparent')) ?? randomBytes(16).toString('hex');
    const spanId = randomBytes(8).toString('hex');
    const context: RequestContext = {
      requestId,
      traceId,
      spanId,
      log: log.child({
        'http.request.id': requestId,
        'trace.id': traceId,
        'span.id': spanId,
      }),
      startedAt: process.hrtime.bigint(),
    };
    contexts.set(req, context);
    res.setHeader('X-Request-Id', requestId);
    res.once('close', () => logRequest(req, res, context));
    next();
  };
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;

/**
 * The trace that a `traceparent` header names; `undefined` for one that is not valid, so that a new trace begins. Of a
 * version that is not known yet the first four fields are read (https://www.w3.org/TR/trace-context/#versioning-of-traceparent).
 */
export function traceIdIn(header: string | undefined): string | undefined {
  const [, version, traceId = '', parentId = '', more] = TRACEPARENT.exec(header ?? '') ?? [];
  if (version === undefined || version === 'ff') return undefined;
  if (version === '00' && more !== undefined) return undefined;
  return /^0+$/.test(traceId) || /^0+$/.test(parentId) ? undefined : traceId;
}

function logRequest(
  req: Request,
  res: Response,
  { log, startedAt, adminId }: RequestContext,
): void {
  const completed = res.writableFinished;
  const status = res.statusCode;
  const level = status === 500 ? 'error' : status > 500 || !completed ? 'warn' : 'info';
  log[level](
    {
      'http.request.method': req.method,
      'url.path': maskPath(pathOf(req)),
      'http.response.status_code': status,
      'event.duration': Number(process.hrtime.bigint() - startedAt),
      'event.outcome': completed && status < 400 ? 'success' : 'failure',
      'client.ip': req.ip,
      ...(adminId !== undefined && { 'user.id': String(adminId) }),
    },
    completed ? 'request' : 'request aborted',
  );
}
