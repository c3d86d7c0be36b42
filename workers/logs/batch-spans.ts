import { jobSpan, openRootSpan, within, type OpenSpan } from '../../shared/tracing/open-span.js';
import type { SpanLink, Tracer } from '../../shared/tracing/tracer.js';
import type { RecordSink } from './record-sink.port.js';

const MAX_LINKS = 10;
/** Our lines have their ids near their beginning. */
const READ_BYTES = 1_000;
const TRACE_ID = /"trace\.id":"([0-9a-f]{32})"/;
const SPAN_ID = /"span\.id":"([0-9a-f]{16})"/;

/**
 * The span of a batch of log lines. A batch has a trace of its own, since its lines are of many; it has links to the first ten
 * requests in it.
 */
export const openBatchSpan = (
  tracer: Tracer | undefined,
  jobId: string,
  records: readonly Buffer[],
): OpenSpan | undefined => tracer && openRootSpan(tracer, jobSpan('logs', jobId, linksTo(records)));

function linksTo(records: readonly Buffer[]): SpanLink[] {
  const links = new Map<string, SpanLink>();
  for (const record of records) {
    const text = record.toString('latin1', 0, READ_BYTES);
    const [, traceId] = TRACE_ID.exec(text) ?? [];
    const [, spanId] = SPAN_ID.exec(text) ?? [];
    if (traceId !== undefined && spanId !== undefined) links.set(spanId, { traceId, spanId });
    if (links.size === MAX_LINKS) break;
  }
  return [...links.values()];
}

/** The sink with a span for each call; the same without a parent. */
export const tracedSink = (sink: RecordSink, parent: OpenSpan | undefined): RecordSink =>
  parent
    ? {
        put: (records, signal) =>
          within(
            parent.child({
              name: 'Firehose/PutRecordBatch',
              kind: 'client',
              attributes: {
                'rpc.system': 'aws-api',
                'rpc.service': 'Firehose',
                'rpc.method': 'PutRecordBatch',
                'messaging.batch.message_count': records.length,
              },
            }),
            () => sink.put(records, signal),
            (refused) => ({ 'rollcall.refused_records': refused.length }),
          ),
        close: () => sink.close(),
      }
    : sink;
