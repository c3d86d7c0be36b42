import type { Logger } from '../logging/logger.js';

/** A piece of work that is over, as it is exported. The ids are those that requests and outbox rows have anyway. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: 'server' | 'producer' | 'consumer' | 'client';
  readonly traceId: string;
  readonly spanId: string;
  /** The span that caused it; absent where the trace begins. */
  readonly parentSpanId?: string | undefined;
  /** Milliseconds since 1970, with fractions. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** By OpenTelemetry's semantic conventions. No address, no token, no path: templates and ids. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Why it failed, masked; absent if it did not. */
  readonly error?: string | undefined;
  /** Spans of other traces that it worked for. */
  readonly links?: readonly SpanLink[];
}

/** A span of another trace. */
export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
}

/** Takes spans. Where traces are not exported there is no tracer, and no code of one is loaded. */
export interface Tracer {
  /** Never throws and never waits: what the collector does not take in time is dropped, and counted in the log. */
  record(span: FinishedSpan): void;
  /** Exports what is left, for a second at most. */
  close(): Promise<void>;
}

export interface TracerOptions {
  /** `rollcall-api`, `rollcall-worker`. */
  readonly service: string;
  /** `APP_ENV`. */
  readonly environment: string;
  readonly log: Logger;
}

/** Now, as spans have it: to the microsecond, and comparable between the processes of a host. */
export const spanTime = (): number => performance.timeOrigin + performance.now();
