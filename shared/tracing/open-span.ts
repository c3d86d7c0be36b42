import { randomHex } from '../crypto/random-hex.js';
import { messageOf } from '../errors/message-of.js';
import { spanTime, type FinishedSpan, type SpanLink, type Tracer } from './tracer.js';

/** The request that caused some work, as its outbox row names it. */
export interface TraceParent {
  readonly traceId: string;
  /** Null when no request caused it: an operator's command, say. */
  readonly spanId: string | null;
  /** False when the client does not want its request to be traced (W3C Trace Context, sampled flag). */
  readonly isSampled: boolean;
}

type Attributes = FinishedSpan['attributes'];

/** What is known of a span when it begins. */
export interface SpanStart extends Pick<FinishedSpan, 'name' | 'kind'> {
  readonly attributes: Attributes;
  readonly links?: readonly SpanLink[];
}

/** Work in progress that is traced. */
export interface OpenSpan {
  /** Opens a span of a part of this work. */
  child(start: SpanStart): OpenSpan;
  /** Records it. Safe twice. */
  end(attributes?: Attributes, error?: string): void;
}

/** Opens a span caused by a request; `undefined` without a tracer, or if the request is not to be traced. */
export function openSpan(
  tracer: Tracer | undefined,
  parent: TraceParent,
  start: SpanStart,
): OpenSpan | undefined {
  if (!tracer || !parent.isSampled) return undefined;
  return begin(tracer, parent.traceId, parent.spanId ?? undefined, start);
}

/** Opens a span that no request caused: it begins a trace of its own. */
export const openRootSpan = (tracer: Tracer | undefined, start: SpanStart): OpenSpan | undefined =>
  tracer && begin(tracer, randomHex(16), undefined, start);

function begin(
  tracer: Tracer,
  traceId: string,
  parentSpanId: string | undefined,
  { name, kind, attributes, links }: SpanStart,
): OpenSpan {
  const spanId = randomHex(8);
  const startedAt = spanTime();
  let isOver = false;
  return {
    child: (start) => begin(tracer, traceId, spanId, start),
    end(more = {}, error) {
      if (isOver) return;
      isOver = true;
      tracer.record({
        name,
        kind,
        traceId,
        spanId,
        parentSpanId,
        startedAt,
        endedAt: spanTime(),
        attributes: { ...attributes, ...more },
        error,
        ...(links && { links }),
      });
    },
  };
}

/** Adding a job to its queue (OpenTelemetry's conventions for messaging). */
export const enqueueSpan = (queue: string, jobId: string): SpanStart => ({
  name: `send ${queue}`,
  kind: 'producer',
  attributes: jobAttributes(queue, jobId, 'send'),
});

/** One attempt of a job. */
export const jobSpan = (queue: string, jobId: string, links?: readonly SpanLink[]): SpanStart => ({
  name: `process ${queue}`,
  kind: 'consumer',
  attributes: jobAttributes(queue, jobId, 'process'),
  ...(links && { links }),
});

const jobAttributes = (queue: string, jobId: string, operation: 'send' | 'process') => ({
  'messaging.system': 'bullmq',
  'messaging.destination.name': queue,
  'messaging.operation.name': operation,
  'messaging.operation.type': operation,
  'messaging.message.id': jobId,
});

/** Runs work within a span, if there is one: it ends with the work, and bears the message of what it throws. */
export async function within<T>(
  span: OpenSpan | undefined,
  work: () => Promise<T>,
  attributesOf: (result: T) => Attributes = () => ({}),
): Promise<T> {
  if (!span) return work();
  try {
    const result = await work();
    span.end(attributesOf(result));
    return result;
  } catch (error) {
    span.end({ 'error.type': error instanceof Error ? error.name : 'unknown' }, messageOf(error));
    throw error;
  }
}
