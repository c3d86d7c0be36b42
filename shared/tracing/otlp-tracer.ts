import { hostname } from 'node:os';
import { posix } from 'node:path';
import {
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type HrTime,
  type SpanContext,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
} from '@opentelemetry/sdk-trace-base';
import { product } from '../config/version.js';
import { createLogThrottle } from '../logging/log-throttle.js';
import { maskTokensAndAddresses } from '../logging/mask.js';
import type { FinishedSpan, Tracer, TracerOptions } from './tracer.js';

const KINDS = {
  server: SpanKind.SERVER,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  client: SpanKind.CLIENT,
} as const satisfies Record<FinishedSpan['kind'], SpanKind>;

/** Spans that wait for the collector; more are dropped. */
const MAX_WAITING = 4_096;
const MAX_BATCH = 512;
const EXPORT_EVERY_MS = 2_000;
const EXPORT_TIMEOUT_MS = 5_000;
const CLOSE_WITHIN_MS = 1_000;
const MAX_TEXT = 1_000;
const SAME_WARNING_EVERY_MS = 60_000;

/** The endpoint of traces below a collector's base URL (OpenTelemetry, OTLP exporter configuration). */
function tracesUrl(base: string): string {
  const url = new URL(base);
  url.pathname = posix.join(url.pathname, 'v1/traces');
  return url.href;
}

/**
 * Exports spans in batches to `<url>/v1/traces`, as OTLP over HTTP in JSON. The SDK's own tracer is not used: it would make
 * ids of its own, and look for the current span at every start of one.
 */
export function openOtlpTracer(url: string, { service, environment, log }: TracerOptions): Tracer {
  const resource = resourceFromAttributes({
    'service.name': service,
    'service.version': product.version,
    'deployment.environment.name': environment,
    'host.name': hostname(),
    'process.pid': process.pid,
  });
  const scope = { name: product.name, version: product.version };
  const isDue = createLogThrottle(SAME_WARNING_EVERY_MS);
  let lost = 0;
  let waiting = 0;
  const lose = (count: number, why: string): void => {
    lost += count;
    if (isDue(why)) log.warn({ 'labels.lost_spans': lost, 'event.reason': why }, 'traces lost');
  };
  const exporter = countingExporter(
    new OTLPTraceExporter({
      url: tracesUrl(url),
      timeoutMillis: EXPORT_TIMEOUT_MS,
    }),
    (count, error) => {
      waiting -= count;
      if (error) lose(count, error.message);
    },
  );
  const processor = new BatchSpanProcessor(exporter, {
    maxQueueSize: MAX_WAITING,
    maxExportBatchSize: MAX_BATCH,
    scheduledDelayMillis: EXPORT_EVERY_MS,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS + 1_000,
  });
  return {
    record(span) {
      // Counted here: the processor drops without a word.
      if (waiting >= MAX_WAITING) {
        lose(1, 'the collector does not keep up');
        return;
      }
      waiting += 1;
      processor.onEnd(readable(span, resource, scope));
    },
    async close() {
      let timer: NodeJS.Timeout | undefined;
      const timeout = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, CLOSE_WITHIN_MS);
      });
      // What failed was counted.
      const closing = processor.shutdown().catch(() => undefined);
      await Promise.race([closing, timeout]);
      clearTimeout(timer);
    },
  };
}

/** Reports what became of each batch, which the processor would tell nobody. */
function countingExporter(
  exporter: OTLPTraceExporter,
  onBatch: (count: number, error: Error | undefined) => void,
): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        onBatch(spans.length, result.error);
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
  };
}

function readable(
  span: FinishedSpan,
  resource: ReadableSpan['resource'],
  instrumentationScope: ReadableSpan['instrumentationScope'],
): ReadableSpan {
  const { traceId, spanId, parentSpanId, startedAt, endedAt, links = [] } = span;
  const context = contextOf(traceId, spanId);
  return {
    name: span.name,
    kind: KINDS[span.kind],
    spanContext: () => context,
    ...(parentSpanId !== undefined && { parentSpanContext: contextOf(traceId, parentSpanId) }),
    startTime: hrTime(startedAt),
    endTime: hrTime(endedAt),
    duration: hrTime(Math.max(endedAt - startedAt, 0)),
    status:
      span.error === undefined
        ? { code: SpanStatusCode.UNSET }
        : {
            code: SpanStatusCode.ERROR,
            message: maskTokensAndAddresses(span.error.slice(0, MAX_TEXT)),
          },
    attributes: { ...span.attributes },
    links: links.map((link) => ({ context: contextOf(link.traceId, link.spanId) })),
    events: [],
    ended: true,
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

const contextOf = (traceId: string, spanId: string): SpanContext => ({
  traceId,
  spanId,
  traceFlags: TraceFlags.SAMPLED,
});

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
