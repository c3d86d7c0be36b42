import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';
import * as z from 'zod';
import type { FinishedSpan } from '../../shared/tracing/tracer.js';
import type { Scope } from './context.js';
import { eventually } from './eventually.js';

/** A span as the collector has it. */
export interface ExportedSpan {
  readonly name: string;
  readonly kind: FinishedSpan['kind'];
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly startedAt: bigint;
  readonly endedAt: bigint;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly error: string | undefined;
  readonly service: unknown;
  /** Tells processes apart, and servers that share one here. */
  readonly process: string;
}

const Attributes = z.array(
  z.object({
    key: z.string(),
    value: z
      .object({ stringValue: z.string(), intValue: z.number(), boolValue: z.boolean() })
      .partial(),
  }),
);

/** opentelemetry/proto/collector/trace/v1: ExportTraceServiceRequest, as JSON. */
const ExportRequest = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: Attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              name: z.string(),
              kind: z.int(),
              traceId: z.string().regex(/^[0-9a-f]{32}$/),
              spanId: z.string().regex(/^[0-9a-f]{16}$/),
              parentSpanId: z.string().default(''),
              startTimeUnixNano: z.string(),
              endTimeUnixNano: z.string(),
              attributes: Attributes,
              links: z.array(z.object({ traceId: z.string(), spanId: z.string() })).default([]),
              status: z.object({ message: z.string().optional() }),
            }),
          ),
        }),
      ),
    }),
  ),
});

const KINDS = ['server', 'server', 'server', 'client', 'producer', 'consumer'] as const;

const valuesOf = (attributes: z.output<typeof Attributes>): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

/** A collector that takes OTLP over HTTP, as JSON. */
export async function openCollector(scope: Scope, answer: number | 'hang' = 200) {
  const spans: ExportedSpan[] = [];
  const take = (body: unknown): void => {
    for (const { resource, scopeSpans } of ExportRequest.parse(body).resourceSpans) {
      const facts = valuesOf(resource.attributes);
      const service = facts['service.name'];
      const process = `${String(service)}:${String(facts['process.pid'])}`;
      for (const {
        kind,
        status,
        startTimeUnixNano,
        endTimeUnixNano,
        ...rest
      } of scopeSpans.flatMap((each) => each.spans))
        spans.push({
          ...rest,
          kind: KINDS[kind] ?? 'server',
          attributes: valuesOf(rest.attributes),
          startedAt: BigInt(startTimeUnixNano),
          endedAt: BigInt(endTimeUnixNano),
          error: status.message,
          service,
          process,
        });
    }
  };
  const server = createServer((req, res) => {
    if (answer === 'hang') return;
    json(req).then(
      (body) => {
        if (req.url === '/v1/traces' && answer === 200) take(body);
        res.writeHead(answer, { 'content-type': 'application/json' }).end('{}');
      },
      () => res.writeHead(400).end(),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  scope.teardown(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const of = (traceId: string): ExportedSpan[] => spans.filter((each) => each.traceId === traceId);
  return {
    url: `http://127.0.0.1:${port}`,
    spans,
    of,
    /** Resolves to the spans of a trace once there is one of each kind that the predicate takes. */
    waitFor: (
      traceId: string,
      kinds: readonly FinishedSpan['kind'][],
      isMeant: (each: ExportedSpan) => boolean = () => true,
    ) =>
      eventually(
        () => {
          const found = of(traceId);
          const isThere = (kind: string) =>
            found.some((each) => each.kind === kind && isMeant(each));
          return kinds.every(isThere) && found;
        },
        { of: `spans of the kinds ${kinds.join(', ')}` },
      ),
  };
}
