import { connect, type Socket } from 'node:net';
import { createHistogram, record } from './histogram.js';
import { COUNTER, monotonicMs, type Answer, type LoadJob, type LoadResult } from './load-job.js';
import { createResponseParser } from './response-parser.js';

const HOST = '127.0.0.1';
const DRAIN_MS = 30_000;
const READ_BUFFER_BYTES = 65_536;

interface Run {
  readonly job: LoadJob;
  readonly requests: readonly Request[];
  readonly statuses: Record<string, number>;
  readonly latencies: number[];
  readonly answers: Answer[];
  readonly startedAt: number;
  readonly endsAt: number;
  next: number;
  inFlight: number;
  /** When the next request is due, at a fixed rate. */
  dueAt: number;
  readonly idle: Connection[];
  readonly done: PromiseWithResolvers;
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

interface Request {
  readonly bytes: Buffer;
  /** Where a number goes in; -1 if it has none. */
  readonly countAt: number;
}

interface Connection {
  socket: Socket | undefined;
  /** When the request in flight was sent, or was due; undefined while there is none. */
  sentAt: number | undefined;
  /** The number of that request. */
  count: number;
}

/** Sends requests as the job says. @throws if a response has another status than expected, or a connection breaks. */
export async function runLoad(job: LoadJob): Promise<LoadResult> {
  const startedAt = performance.now();
  const run: Run = {
    job,
    requests: job.requests.map(toRequest),
    statuses: {},
    latencies: createHistogram(),
    answers: [],
    startedAt,
    endsAt: startedAt + job.durationMs,
    next: Math.floor(Math.random() * job.requests.length),
    inFlight: 0,
    dueAt: startedAt,
    idle: [],
    done: withResolvers(),
  };
  const connections = Array.from({ length: job.connections }, () => openConnection(run));
  if (job.perSecond === undefined) for (const connection of connections) send(run, connection);
  else run.idle.push(...connections);
  const timer = job.perSecond === undefined ? undefined : setInterval(() => sendDue(run), 1);
  const deadline = setTimeout(
    () => run.done.reject(new Error(`responses are missing ${DRAIN_MS} ms after the load`)),
    job.durationMs + DRAIN_MS,
  );
  const end = setTimeout(() => endIfDrained(run), job.durationMs + 1);
  try {
    await run.done.promise;
    const seconds = (performance.now() - startedAt) / 1_000;
    const { statuses, latencies, answers } = run;
    return { seconds, statuses, latencies, answers };
  } finally {
    clearInterval(timer);
    clearTimeout(deadline);
    clearTimeout(end);
    for (const { socket } of connections) socket?.destroy();
  }
}

function openConnection(run: Run): Connection {
  const connection: Connection = { socket: undefined, sentAt: undefined, count: 0 };
  reconnect(run, connection);
  return connection;
}

function reconnect(run: Run, connection: Connection): Socket {
  const parser = createResponseParser((status, isLast) => {
    if (isLast) connection.socket = undefined;
    onResponse(run, connection, status);
  });
  const feed = (length: number, buffer: Uint8Array): boolean => {
    try {
      parser.feed(buffer as Buffer, length);
    } catch (error) {
      run.done.reject(error as Error);
    }
    return true;
  };
  const socket = connect({
    host: HOST,
    port: run.job.port,
    noDelay: true,
    onread: { buffer: Buffer.alloc(READ_BUFFER_BYTES), callback: feed },
  });
  socket.on('error', (error) => run.done.reject(error));
  socket.on('close', () => {
    if (connection.socket !== socket) return;
    connection.socket = undefined;
    if (connection.sentAt !== undefined)
      run.done.reject(new Error('the server closed a connection with a request in flight'));
  });
  connection.socket = socket;
  return socket;
}

function send(run: Run, connection: Connection, sentAt = performance.now()): void {
  const { requests, next } = run;
  const request = requests[next % requests.length];
  if (request === undefined) throw new Error('a load without requests');
  connection.sentAt = sentAt;
  run.next = next + 1;
  run.inFlight += 1;
  const socket = connection.socket ?? reconnect(run, connection);
  connection.count = (run.job.firstCount ?? 0) + next;
  socket.write(counted(request, connection.count));
}

function toRequest(bytes: Uint8Array): Request {
  const buffer = Buffer.from(bytes);
  return { bytes: buffer, countAt: buffer.indexOf(COUNTER, 0, 'latin1') };
}

/** The request with its number, if it has one. */
function counted({ bytes, countAt }: Request, count: number): Buffer {
  if (countAt < 0) return bytes;
  const copy = Buffer.from(bytes);
  copy.write(String(count).padStart(COUNTER.length, '0'), countAt, 'latin1');
  return copy;
}

function onResponse(run: Run, connection: Connection, status: number): void {
  const { job, statuses, latencies } = run;
  const now = performance.now();
  const tookMs = now - (connection.sentAt ?? now);
  connection.sentAt = undefined;
  run.inFlight -= 1;
  statuses[status] = (statuses[status] ?? 0) + 1;
  if (job.isTraced) run.answers.push({ count: connection.count, atMs: monotonicMs() });
  if (job.timed?.includes(status) ?? true) record(latencies, tookMs * 1_000);
  if (!job.expected.includes(status)) {
    run.done.reject(new Error(`a response has status ${status}, not ${job.expected.join(' or ')}`));
  } else if (job.perSecond !== undefined) run.idle.push(connection);
  else if (now >= run.endsAt) endIfDrained(run);
  else if (job.pauseMs === undefined) send(run, connection);
  else setTimeout(() => sendUnlessOver(run, connection), job.pauseMs);
}

function sendUnlessOver(run: Run, connection: Connection): void {
  if (performance.now() < run.endsAt) send(run, connection);
  else endIfDrained(run);
}

/** Sends what is due, as far as there are connections for it; the rest is sent late, and its wait counts. */
function sendDue(run: Run): void {
  const intervalMs = 1_000 / (run.job.perSecond ?? 1);
  const now = performance.now();
  while (run.dueAt <= now && run.dueAt < run.endsAt) {
    const connection = run.idle.shift();
    if (connection === undefined) return;
    send(run, connection, run.dueAt);
    run.dueAt += intervalMs;
  }
  endIfDrained(run);
}

/** At a fixed rate, what was due before the end is sent even if that is late. */
function endIfDrained({ job, endsAt, dueAt, inFlight, done }: Run): void {
  const isOver = performance.now() >= endsAt && (job.perSecond === undefined || dueAt >= endsAt);
  if (isOver && inFlight === 0) done.resolve();
}

function withResolvers(): PromiseWithResolvers {
  let settle: Omit<PromiseWithResolvers, 'promise'> | undefined;
  const promise = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  return { promise, ...(settle as unknown as Omit<PromiseWithResolvers, 'promise'>) };
}
