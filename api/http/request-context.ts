import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Cause } from '../../shared/audit/audit.js';
import { randomHex } from '../../shared/crypto/random-hex.js';
import { escapeControls } from '../../shared/escape-controls.js';
import { requestIdFrom } from '../../shared/http/request-headers.js';
import { sentStatusOf } from '../../shared/lifecycle/refuse-broken-requests.js';
import type { Logger, RootLogger } from '../../shared/logging/logger.js';
import { maskPath } from '../../shared/logging/mask.js';
import type { Principal } from '../../shared/models/index.js';
import type { Tracer } from '../../shared/tracing/tracer.js';
import { ABORTED_STATUS, type RecordRequest } from './request-metrics.js';
import { readTraceparent, recordRequestSpan } from './traceparent.js';

/** Metadata of a request. */
export interface RequestContext {
  readonly requestId: string;
  /** W3C Trace Context: 32 hexadecimal digits. Like the request id, the client may have chosen it. */
  readonly traceId: string;
  /** 16 hexadecimal digits, always generated here. */
  readonly spanId: string;
  /** The client's own span, if it named one. */
  readonly parentSpanId?: string;
  /** Whether the client wants the request to be traced; absent if it named no span. */
  readonly isSampled?: boolean;
  /** The client's address, behind the trusted proxies. */
  readonly ip: string | undefined;
  /** Its lines bear the ids of the request. */
  readonly log: Logger;
  readonly startedAt: bigint;
  /** The template of its route, such as `/users/{id}`; absent until one is found. */
  route?: string;
  /** The authenticated admin; also set by a login or a refresh. */
  adminId?: number;
  /** The authenticated admin and its session; set by `requireAdmin`. */
  principal?: Principal;
  /** The answer goes on until the client leaves, which is no abortion. */
  isStream?: boolean;
  /** Called when the request fails because PostgreSQL is unavailable. */
  whenUnavailable?: () => void;
}

/** On the request itself: in a WeakMap a context would outlive it until it is collected. */
const ofRequest = Symbol('context');

interface RequestWithContext extends IncomingMessage {
  [ofRequest]?: RequestContext;
}

/** The context that {@link openContext} created. */
export function contextOf(req: IncomingMessage): RequestContext {
  const context = (req as RequestWithContext)[ofRequest];
  if (!context) throw new Error('The request has no context');
  return context;
}

/** True for an answer that goes on until the client leaves: how long somebody watched a page is no time of an answer. */
export const isStream = (req: IncomingMessage): boolean =>
  (req as RequestWithContext)[ofRequest]?.isStream === true;

/** The authenticated admin and its session. @throws when the route is not behind `requireAdmin`: a defect, answered by 500. */
export function principalOf(req: IncomingMessage): Principal {
  const { principal } = contextOf(req);
  if (!principal) throw new Error('The route is not behind requireAdmin');
  return principal;
}

/** The authenticated admin's id. @throws when the route is behind neither `requireAdmin` nor `requireSession`: a defect. */
export function adminIdOf(req: IncomingMessage): number {
  const { adminId } = contextOf(req);
  if (adminId === undefined) throw new Error('The route is not behind requireAdmin');
  return adminId;
}

/** The URL as it was requested, also where Express has changed `url` for a mounted router. */
const urlOf = (req: Pick<IncomingMessage, 'url'>): string =>
  (req as { readonly originalUrl?: string }).originalUrl ?? req.url ?? '';

/**
 * The path of the request, without the query, which may contain a token, and without the host of an absolute URL, whose
 * empty path is `/` (RFC 9112, 3.2.2).
 */
export function pathOf(req: Pick<IncomingMessage, 'url'>): string {
  const url = urlOf(req);
  const path = url.startsWith('/') ? url : url.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?]*/i, '');
  const end = path.indexOf('?');
  return (end < 0 ? path : path.slice(0, end)) || '/';
}

/** The query of the request, undecoded; empty without one. */
export const queryOf = (req: IncomingMessage): string => urlOf(req).split('?', 2)[1] ?? '';

/** The request as the cause of an audit event or an outbox message. */
export function causeOf(req: IncomingMessage): Cause {
  const { requestId, traceId, spanId, isSampled, ip } = contextOf(req);
  return { requestId, traceId, spanId, isSampled, ip, userAgent: req.headers['user-agent'] };
}

/** Reports every answered request, beside the log. */
export interface RequestObservers {
  readonly record?: RecordRequest;
  readonly tracer?: Tracer | undefined;
}

/** Assigns a request its ids; logs it and records its time when the response has ended. */
export function openContext(
  log: RootLogger,
  req: IncomingMessage,
  res: ServerResponse,
  ip: string | undefined,
  { record, tracer }: RequestObservers = {},
): RequestContext {
  const context = new Context(log, req, ip);
  (req as RequestWithContext)[ofRequest] = context;
  res.once('close', () => {
    const durationNs = Number(process.hrtime.bigint() - context.startedAt);
    logRequest(log, req, res, context, durationNs);
    if (isStream(req)) return;
    const status = sentStatusOf(res) ?? ABORTED_STATUS;
    record?.(req.method, context.route, status, durationNs / 1e9);
    if (tracer && context.isSampled !== false)
      recordRequestSpan(tracer, context, { method: req.method, status, durationNs });
  });
  return context;
}

class Context implements RequestContext {
  readonly requestId: string;
  readonly traceId: string;
  readonly spanId = randomHex(8);
  readonly startedAt = process.hrtime.bigint();
  declare readonly parentSpanId?: string;
  declare readonly isSampled?: boolean;
  declare route?: string;
  declare adminId?: number;
  declare principal?: Principal;
  declare isStream?: boolean;
  declare whenUnavailable?: () => void;
  private child: Logger | undefined;

  constructor(
    private readonly base: Logger,
    { headers }: IncomingMessage,
    readonly ip: string | undefined,
  ) {
    this.requestId = requestIdFrom(headers['x-request-id']);
    const parent = readTraceparent(headers['traceparent']);
    this.traceId = parent?.traceId ?? randomHex(16);
    if (parent) {
      this.parentSpanId = parent.parentId;
      this.isSampled = parent.isSampled;
    }
  }

  /** Made when it is first used: most requests log nothing but their own line. */
  get log(): Logger {
    return (this.child ??= this.base.child(idsOf(this)));
  }
}

const idsOf = ({ requestId, traceId, spanId }: RequestContext) => ({
  'http.request.id': requestId,
  'trace.id': traceId,
  'span.id': spanId,
});

function logRequest(
  log: RootLogger,
  req: IncomingMessage,
  res: ServerResponse,
  context: RequestContext,
  durationNs: number,
): void {
  const sentStatus = sentStatusOf(res);
  const completed = sentStatus !== undefined || context.isStream === true;
  const status = sentStatus ?? res.statusCode;
  const level = status === 500 ? 'error' : status > 500 || !completed ? 'warn' : 'info';
  const isSuccess = completed && status < 400;
  const members = requestMembers(context, req, { status, durationNs, isSuccess });
  log.members(level, members, completed ? 'request' : 'request aborted');
}

/** How a request was answered. */
export interface RequestOutcome {
  readonly status: number;
  /** Nanoseconds. */
  readonly durationNs: number;
  readonly isSuccess: boolean;
}

/** Needs no escape: a test that costs a tenth of escaping. */
const PLAIN = /^[\w/.:~-]*$/;

const jsonString = (text: string): string =>
  PLAIN.test(text) ? `"${text}"` : escapeControls(JSON.stringify(text));

/** The fields of a request's line, as JSON members. Ids and methods have no character that JSON escapes. */
export function requestMembers(
  { requestId, traceId, spanId, ip, adminId }: Omit<RequestContext, 'log' | 'startedAt'>,
  req: Pick<IncomingMessage, 'method' | 'url'>,
  { status, durationNs, isSuccess }: RequestOutcome,
): string {
  const path = maskPath(pathOf(req));
  return (
    `,"http.request.id":"${requestId}","trace.id":"${traceId}","span.id":"${spanId}"` +
    `,"http.request.method":"${req.method ?? ''}","url.path":${jsonString(path)}` +
    `,"http.response.status_code":${status},"event.duration":${durationNs}` +
    `,"event.outcome":"${isSuccess ? 'success' : 'failure'}"` +
    (ip === undefined ? '' : `,"client.ip":${jsonString(ip)}`) +
    (adminId === undefined ? '' : `,"user.id":"${adminId}"`)
  );
}
