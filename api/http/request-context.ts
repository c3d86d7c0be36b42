import { randomBytes } from 'node:crypto';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { Cause } from '../../shared/audit/audit.js';
import { requestIdFrom } from '../../shared/http/request-headers.js';
import { withoutPort } from '../../shared/http/network-address.js';
import type { Logger } from '../../shared/logging/logger.js';
import { maskPath } from '../../shared/logging/mask.js';
import type { Principal } from '../../shared/models/index.js';

/** Metadata of a request. */
export interface RequestContext {
  readonly requestId: string;
  /** W3C Trace Context: 32 hexadecimal digits. Like the request id, the client may have chosen it. */
  readonly traceId: string;
  /** 16 hexadecimal digits, always generated here. */
  readonly spanId: string;
  readonly log: Logger;
  readonly startedAt: bigint;
  /** The authenticated admin; also set by a login or a refresh. */
  adminId?: number;
  /** The authenticated admin and its session; set by `requireAdmin`. */
  principal?: Principal;
}

const contexts = new WeakMap<Request, RequestContext>();

/** The context that {@link requestContext} created. */
export function contextOf(req: Request): RequestContext {
  const context = contexts.get(req);
  if (!context) throw new Error('The request-context middleware has not run');
  return context;
}

/** The authenticated admin and its session. @throws when the route is not behind `requireAdmin`: a defect, answered by 500. */
export function principalOf(req: Request): Principal {
  const { principal } = contextOf(req);
  if (!principal) throw new Error('The route is not behind requireAdmin');
  return principal;
}

/** The path of the request, without the query, which may contain a token, and without the host of an absolute URL. */
export const pathOf = ({ originalUrl }: Request): string =>
  originalUrl.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?]*/i, '').split('?', 1)[0] ?? '';

/** The request as the cause of an audit event or an outbox message. */
export function causeOf(req: Request): Cause {
  const { requestId, traceId, spanId } = contextOf(req);
  return { requestId, traceId, spanId, ip: req.ip, userAgent: req.get('user-agent') };
}

/** Assigns the request its ids, returns `X-Request-Id`, and logs the request when the response has ended. */
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
 * The trace id of a `traceparent` header; `undefined` if it is not valid, so that a new trace starts. Of a future version
 * the first four fields are read (https://www.w3.org/TR/trace-context/#versioning-of-traceparent).
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

/** More proxies than any legitimate request passes. Each appends an address. */
const MAX_ADDRESSES = 100;

/**
 * Removes ports and brackets from the addresses in `X-Forwarded-For`, before Express determines the client's address from
 * them. Some proxies add the client's port (an AWS load balancer with `xff_client_port`), so each connection would be
 * another client. Of more than 100 addresses only the last are kept.
 */
export const normalizeForwardedFor: RequestHandler = (req, _res, next) => {
  const given = req.headers['x-forwarded-for'];
  if (typeof given === 'string')
    req.headers['x-forwarded-for'] = given
      .split(',')
      .slice(-MAX_ADDRESSES)
      .map(withoutPort)
      .join(', ');
  next();
};
