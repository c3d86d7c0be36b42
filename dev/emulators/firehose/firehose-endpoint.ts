import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isLocalRequest } from '../../../shared/http/network-address.js';
import { AwsError } from './aws-error.js';
import { createFaults, parseFaultPlan, type FaultPlan, type Faults } from './faults.js';
import {
  openFirehoseService,
  type FirehoseService,
  type FirehoseStats,
} from './firehose-service.js';
import { checkAuthorization, parsePutRequest, type PutRequest } from './put-request.js';
import type { StoredRecord } from './stream-store.js';
import { sendViewerFile } from './viewer/viewer.js';

/** Options of the endpoint. */
export interface FirehoseOptions {
  /** The folder of the records, with one file per delivery stream. */
  readonly dataDir: string;
  /** 0 is any. */
  readonly port: number;
  readonly host: string;
}

/** A local emulator of Amazon Data Firehose, with the limits and responses of the service. */
export interface FirehoseEndpoint {
  readonly port: number;
  readonly url: string;
  stats(): FirehoseStats;
  setFaults(plan: FaultPlan): void;
  resetFaults(): void;
  /** All records of a stream, oldest first. */
  records(stream: string): Promise<StoredRecord[]>;
  close(): Promise<void>;
}

const maxBodyBytes = 8 * 1024 * 1024;
const maxPage = 1_000;

/**
 * Opens the endpoint. `POST /` accepts PutRecord and PutRecordBatch and answers once the records are in
 * `dataDir/STREAM.ndjson`. `GET /` is a log viewer over `GET /_records`. `GET /_stats` has counters. `PUT /_faults` injects
 * faults, `DELETE /_faults` removes them. Requests from pages of other origins are rejected.
 */
export async function openFirehoseEndpoint(options: FirehoseOptions): Promise<FirehoseEndpoint> {
  const faults = createFaults();
  const service = await openFirehoseService(options.dataDir, faults);
  const server = createServer((request, response) => {
    if (!isLocalRequest(request)) {
      sendJson(response, 403, { error: 'this endpoint is for its own host' });
      return;
    }
    route(service, faults, request, response).catch((error: unknown) => sendError(response, error));
  });
  const port = await listen(server, options);
  return {
    port,
    url: `http://${options.host}:${port}`,
    stats: () => ({ ...service.stats }),
    setFaults: faults.set,
    resetFaults: faults.reset,
    async records(stream) {
      const store = (await service.streams()).find(({ name }) => name === stream);
      return (await store?.read({ after: 0, limit: Infinity }))?.records ?? [];
    },
    async close() {
      faults.reset();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await service.close();
    },
  };
}

async function route(
  service: FirehoseService,
  faults: Faults,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET');
  switch (`${method} ${url.pathname}`) {
    case 'POST /':
      return put(service, request, response);
    case 'GET /_records':
      return sendRecords(service, url, response);
    case 'GET /_stats':
      return sendJson(response, 200, service.stats);
    case 'GET /_faults':
      return sendJson(response, 200, { faults: faults.plan ?? null });
    case 'PUT /_faults':
      return putFaults(faults, request, response);
    case 'DELETE /_faults':
      faults.reset();
      return sendJson(response, 200, { faults: null });
    default:
      if (method === 'GET' && sendViewerFile(url.pathname, response)) return;
      sendJson(response, 404, { error: 'there is nothing here' });
  }
}

async function put(
  service: FirehoseService,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const outcome = await service.put(() => readCall(request));
  if (outcome.cut) request.socket.destroy();
  else sendAws(response, 200, outcome.answer);
}

async function readCall(request: IncomingMessage): Promise<PutRequest> {
  checkAuthorization(request.headers.authorization);
  const target = request.headers['x-amz-target'];
  return parsePutRequest(typeof target === 'string' ? target : undefined, await readBody(request));
}

async function sendRecords(
  service: FirehoseService,
  url: URL,
  response: ServerResponse,
): Promise<void> {
  const streams = await service.streams();
  const name = url.searchParams.get('stream') ?? streams.at(-1)?.name;
  const page = await streams
    .find((candidate) => candidate.name === name)
    ?.read({
      after: numberIn(url, 'after'),
      before: numberIn(url, 'before'),
      limit: Math.min(numberIn(url, 'limit') ?? 100, maxPage),
      text: url.searchParams.get('q') ?? undefined,
      lowestLevel: url.searchParams.get('level') ?? undefined,
    });
  sendJson(response, 200, {
    stream: name ?? null,
    streams: streams.map((stream) => ({ name: stream.name, records: stream.count })),
    records: page?.records ?? [],
    next_after: page?.nextAfter ?? 0,
  });
}

async function putFaults(
  faults: Faults,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const plan = parseFaultPlan(parseJson(await readBody(request)));
  if (plan === undefined) {
    sendJson(response, 400, {
      error:
        'expected { failEvery?, failCalls?, mode?: partial | unavailable | throttle | hang | down }',
    });
    return;
  }
  if (Object.keys(plan).length === 0) faults.reset();
  else faults.set(plan);
  sendJson(response, 200, { faults: faults.plan ?? null });
}

async function listen(server: Server, options: FirehoseOptions): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: options.port, host: options.host }, resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : options.port;
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const part = chunk as Buffer;
    bytes += part.length;
    if (bytes > maxBodyBytes) {
      throw new AwsError(
        413,
        'RequestEntityTooLargeException',
        `The body exceeds ${maxBodyBytes} bytes.`,
      );
    }
    chunks.push(part);
  }
  return Buffer.concat(chunks);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8') || '{}');
  } catch {
    return undefined;
  }
}

function numberIn(url: URL, name: string): number | undefined {
  const text = url.searchParams.get(name);
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
  } else if (error instanceof AwsError) {
    sendAws(response, error.status, { __type: error.type, message: error.message });
  } else {
    const message = error instanceof Error ? error.message : String(error);
    sendAws(response, 500, { __type: 'InternalFailure', message });
  }
}

function sendAws(response: ServerResponse, status: number, body: object): void {
  response.setHeader('x-amzn-RequestId', randomUUID());
  send(response, status, 'application/x-amz-json-1.1', body);
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.setHeader('cache-control', 'no-store');
  send(response, status, 'application/json; charset=utf-8', body);
}

function send(response: ServerResponse, status: number, type: string, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': type, 'content-length': bytes.length }).end(bytes);
}
