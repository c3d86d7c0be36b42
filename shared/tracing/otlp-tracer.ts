import { hostname } from 'node:os';
import { posix } from 'node:path';
// By `require`: a bundle runs all its imports of packages at its start, even those of a module that it loads later or never.
import otel = require('@opentelemetry/api');
import otlp = require('@opentelemetry/exporter-trace-otlp-http');
import resources = require('@opentelemetry/resources');
import sdk = require('@opentelemetry/sdk-trace-base');
import { product } from '../config/version.js';
import { cutText } from '../cut-text.js';
import { messageOf } from '../errors/message-of.js';
import { waitAtMost } from '../lifecycle/wait-at-most.js';
import { createLogThrottle } from '../logging/log-throttle.js';
import { maskTokensAndAddresses } from '../logging/mask.js';
import type { FinishedSpan, Tracer, TracerOptions } from './tracer.js';

const KINDS = {
  server: otel.SpanKind.SERVER,
  producer: otel.SpanKind.PRODUCER,
  consumer: otel.SpanKind.CONSUMER,
  client: otel.SpanKind.CLIENT,
} as const satisfies Record<FinishedSpan['kind'], otel.SpanKind>;

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
  const resource = resources.resourceFromAttributes({
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
    new otlp.OTLPTraceExporter({
      url: tracesUrl(url),
      timeoutMillis: EXPORT_TIMEOUT_MS,
    }),
    (count, error) => {
      waiting -= count;
      if (error) lose(count, messageOf(error));
    },
  );
  const processor = new sdk.BatchSpanProcessor(exporter, {
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
      // What failed was counted.
      const closing = processor.shutdown().catch(() => undefined);
      await waitAtMost(CLOSE_WITHIN_MS, closing);
    },
  };
}

/** Reports what became of each batch, which the processor would tell nobody. */
function countingExporter(
  exporter: otlp.OTLPTraceExporter,
  onBatch: (count: number, error: Error | undefined) => void,
): sdk.SpanExporter {
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
  resource: sdk.ReadableSpan['resource'],
  instrumentationScope: sdk.ReadableSpan['instrumentationScope'],
): sdk.ReadableSpan {
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
        ? { code: otel.SpanStatusCode.UNSET }
        : {
            code: otel.SpanStatusCode.ERROR,
            message: maskTokensAndAddresses(cutText(span.error, MAX_TEXT)),
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

const contextOf = (traceId: string, spanId: string): otel.SpanContext => ({
  traceId,
  spanId,
  traceFlags: otel.TraceFlags.SAMPLED,
});

/** Seconds and nanoseconds. */
function hrTime(ms: number): otel.HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
