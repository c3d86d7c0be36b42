import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import * as z from 'zod';
import type { Scope } from './context.js';

/** Without what floating-point arithmetic adds. */
export const rounded = (value: number): number => Number(value.toPrecision(9));

/** A call as it came over the wire. */
export interface PutMetricDataCall {
  readonly headers: IncomingMessage['headers'];
  readonly namespace: string;
  /** The values of the dimension `Environment`: each metric has it and no other. */
  readonly environments: readonly string[];
  /** Value and unit by the name of the metric. */
  readonly values: Readonly<Record<string, readonly [value: number, unit: string]>>;
}

type Answer = { readonly status: number; readonly body: object } | 'hang';

/** A CloudWatch of the test's own. */
export interface CloudWatchServer {
  /** Unless set, every call is taken. */
  answer: (() => Answer) | undefined;
  /** How many calls there were, with those that were not taken. */
  requests(): number;
  /** The newest call. */
  last(): PutMetricDataCall | undefined;
  hasNoConnection(): boolean;
}

/** What the SDK sends: AWS JSON 1.0, PutMetricData. */
const Input = z.strictObject({
  Namespace: z.string(),
  MetricData: z
    .array(
      z.strictObject({
        MetricName: z.string(),
        Dimensions: z.tuple([
          z.strictObject({ Name: z.literal('Environment'), Value: z.string().min(1) }),
        ]),
        Unit: z.enum(['Count', 'Seconds', 'None']),
        Value: z.number(),
      }),
    )
    .min(1),
});
const TARGET = 'GraniteServiceVersion20100801.PutMetricData';
const TYPE = 'application/x-amz-json-1.0';

/**
 * Opens a server that takes what the SDK's client sends, points the client at it by the environment, and closes with the scope.
 * The process can have one at a time.
 */
export async function openCloudWatchServer(scope: Scope): Promise<CloudWatchServer> {
  const calls: PutMetricDataCall[] = [];
  const sockets = new Set<Socket>();
  let requests = 0;
  const opened: CloudWatchServer = {
    answer: undefined,
    requests: () => requests,
    last: () => calls.at(-1),
    hasNoConnection: () => sockets.size === 0,
  };
  const respond = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const body = await buffer(req);
    requests += 1;
    const answer = opened.answer?.() ?? take(calls, req, body);
    if (answer === 'hang') return;
    res.writeHead(answer.status, { 'content-type': TYPE }).end(JSON.stringify(answer.body));
  };
  const server = createServer((req, res) => void respond(req, res));
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  scope.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  process.env['AWS_ENDPOINT_URL_CLOUDWATCH'] = `http://127.0.0.1:${port}`;
  return opened;
}

/** A call that is none of the kind is refused with the reason, as a service would. */
function take(calls: PutMetricDataCall[], { headers }: IncomingMessage, body: Buffer): Answer {
  const input = Input.safeParse(parsed(body));
  if (headers['x-amz-target'] !== TARGET || headers['content-type'] !== TYPE || !input.success)
    return { status: 400, body: { __type: 'InvalidParameterValue', message: String(input.error) } };
  const { Namespace, MetricData } = input.data;
  calls.push({
    headers,
    namespace: Namespace,
    environments: [...new Set(MetricData.map(({ Dimensions: [{ Value }] }) => Value))],
    values: Object.fromEntries(
      MetricData.map(({ MetricName, Value, Unit }) => [MetricName, [rounded(Value), Unit]]),
    ),
  });
  return { status: 200, body: {} };
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    return undefined;
  }
}
