import { spanTime, type Tracer } from '../../shared/tracing/tracer.js';

/** What a client says of its own trace. */
export interface Traceparent {
  readonly traceId: string;
  /** The client's span. */
  readonly parentId: string;
  readonly isSampled: boolean;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;

/**
 * Reads a `traceparent` header; `undefined` if it is not valid, so that a new trace starts. Of a future version the first four
 * fields are read (https://www.w3.org/TR/trace-context/#versioning-of-traceparent).
 */
export function readTraceparent(header: string | string[] | undefined): Traceparent | undefined {
  if (typeof header !== 'string') return undefined;
  const [, version, traceId = '', parentId = '', flags = '', more] = TRACEPARENT.exec(header) ?? [];
  if (version === undefined || version === 'ff') return undefined;
  if (version === '00' && more !== undefined) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(parentId)) return undefined;
  return { traceId, parentId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) === SAMPLED };
}

/** The parts of a request's context that its span has. */
interface TracedRequest {
  readonly requestId: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly route?: string;
}

/** What is known of an answered request. */
interface AnsweredRequest {
  readonly method: string | undefined;
  readonly status: number;
  readonly durationNs: number;
}

/** Records the span of a request, which is the parent of all that it caused (OpenTelemetry's conventions for HTTP servers). */
export function recordRequestSpan(
  tracer: Tracer,
  { traceId, spanId, parentSpanId, route, requestId }: TracedRequest,
  { method = '_OTHER', status, durationNs }: AnsweredRequest,
): void {
  const endedAt = spanTime();
  tracer.record({
    name: route === undefined ? method : `${method} ${route}`,
    kind: 'server',
    traceId,
    spanId,
    parentSpanId,
    startedAt: endedAt - durationNs / 1e6,
    endedAt,
    attributes: {
      'http.request.method': method,
      'http.response.status_code': status,
      'rollcall.request.id': requestId,
      ...(route !== undefined && { 'http.route': route }),
    },
    ...(status >= 500 && { error: `answered ${status}` }),
  });
}
