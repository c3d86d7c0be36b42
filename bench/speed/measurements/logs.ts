import { randomUUID } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { holdToShare } from '../cpus.js';
import { requestBytes } from '../load/requests.js';
import { PRODUCT, type Measurement, type Sample } from '../measurement.js';
import { openFirehoseReceiver, type FirehoseReceiver } from '../receivers/firehose-receiver.js';
import { waitUntil } from '../wait-until.js';
import type { MeasuredServer, ServerSpec, World } from '../world.js';
import { runBatch } from './batches.js';
import { httpMeasurement } from './http-measurement.js';
import { api, bareExpress } from './servers.js';
import { readRequests } from './users.js';

const SHIPPED_WITHIN_MS = 60_000;
const SDK_LOOP = 'PutRecordBatch loop of the SDK';

/** What a log line costs from the API's logger to Firehose. */
export const logs: Measurement = {
  name: 'logs',
  title: 'log lines, from the API through the worker to Firehose',
  rounds: { full: 15, short: 3 },
  settings: 'none; CPU is that of both processes; stdout goes to a file',
  goals: [{ figure: 'cpuUs', of: PRODUCT, against: SDK_LOOP, atMost: 1.3 }],
  async open(world, { isShort }) {
    const receiver = await openFirehoseReceiver();
    const writer = await world.server(logWriter(world));
    const worker = await world.server(logWorker(world, 'log-worker', receiver, 'measured'));
    const baseline = await world.server({
      name: 'firehose-sdk',
      program: { baseline: 'firehose-sdk', settings: { endpoint: receiver.url } },
    });
    const count = isShort ? 20_000 : 60_000;
    return {
      contenders: [
        {
          name: PRODUCT,
          sample: () => sampleLines(world, writer, [writer, worker], receiver, count),
        },
        {
          name: SDK_LOOP,
          sample: () => sampleLines(world, baseline, [baseline], receiver, count),
        },
      ],
      close: () => closeAll(world, receiver, ['log-writer', 'log-worker', 'firehose-sdk']),
    };
  },
};

const SHORT_LINES = '300-byte lines with two ids';
const REQUEST_LINES = 'lines of requests with five ids';

/** What lines that wait cost Redis. */
export const logMemory: Measurement = {
  name: 'log-memory',
  title: 'Redis memory of log lines that no worker ships',
  settings: 'none; full batches; per 300 bytes of lines',
  goals: [{ figure: 'redisBytes', of: SHORT_LINES, atMost: 60 }],
  rounds: { full: 3, short: 1 },
  warmsUp: false,
  open(world) {
    return Promise.resolve({
      contenders: [
        { name: SHORT_LINES, sample: () => sampleMemory(world, { short: 1 }) },
        { name: REQUEST_LINES, sample: () => sampleMemory(world, {}) },
      ],
    });
  },
};

const SILENT = 'the same without logging';
const BARE_EXPRESS = 'bare express';

/** What a line costs the request that causes it. */
export const requestLog: Measurement = httpMeasurement({
  name: 'request-log',
  title: 'GET /users/{id} with its log line, spooled and enqueued, against none',
  settings: 'LOG_LEVEL=fatal and no stream for the API without logging',
  // Each figure is a small part of what is measured.
  rounds: { full: 21, short: 3 },
  connections: 32,
  status: 200,
  goals: [
    { figure: 'perSecond', of: PRODUCT, against: SILENT, atLeast: 0.88 },
    { figure: 'cpuUs', of: PRODUCT, beyond: SILENT, against: BARE_EXPRESS, atMost: 0.12 },
  ],
  contenders: [
    { name: PRODUCT, server: api, requests: (world) => readRequests(world) },
    {
      name: SILENT,
      server: {
        ...api,
        name: 'silent-api',
        variables: { LOG_LEVEL: 'fatal', FIREHOSE_DELIVERY_STREAM: '' },
      },
      requests: (world) => readRequests(world),
    },
    {
      name: BARE_EXPRESS,
      server: bareExpress,
      requests: () => [requestBytes({ path: '/health/live' })],
    },
  ],
});

const ONE = 'one worker';
const TWO = 'two workers';
/** Of a core: beside the second worker Redis and the receiver need the rest of theirs. */
const WORKER_SHARE = 0.4;

/** Whether a second worker helps. */
export const twoWorkers: Measurement = {
  name: 'two-workers',
  rounds: { full: 11, short: 2 },
  title: 'shipping log lines that wait in Redis, by two workers against one',
  settings:
    'none; each worker has 40 % of a core, by a control group, so that Redis and the receiver have enough beside the second; without groups all that they find',
  goals: [{ figure: 'perSecond', of: TWO, against: ONE, atLeast: 1.7 }],
  async open(world, { isShort }) {
    const receiver = await openFirehoseReceiver();
    const writer = await world.server(logWriter(world));
    const first = await world.server(logWorker(world, 'log-worker-1', receiver, 'measured'));
    const second = await world.server(logWorker(world, 'log-worker-2', receiver, 'other'));
    const releases = [first, second].map(({ pid }) => holdToShare(pid, WORKER_SHARE));
    const count = isShort ? 40_000 : 100_000;
    const drain = (workers: readonly MeasuredServer[]) => (): Promise<Sample> =>
      sampleDrain(world, { writer, all: [first, second], workers, receiver, count });
    return {
      contenders: [
        { name: TWO, sample: drain([first, second]) },
        { name: ONE, sample: drain([first]) },
      ],
      async close() {
        await closeAll(world, receiver, ['log-writer', 'log-worker-1', 'log-worker-2']);
        for (const release of releases) release?.();
      },
    };
  },
};

const logWriter = ({ logsUrl }: World, name = 'log-writer'): ServerSpec => ({
  name,
  program: { script: 'bench/speed/programs/log-writer' },
  variables: { REDIS_URL_LOGS: logsUrl },
});

/** It writes what it does to stdout alone, which is left out of the lines that are counted. */
const logWorker = (
  { logsUrl }: World,
  name: string,
  { url }: FirehoseReceiver,
  cpus: 'measured' | 'other',
): ServerSpec => ({
  name,
  program: { script: 'workers/main' },
  variables: { WORKER_ROLES: 'logs', REDIS_URL_LOGS: logsUrl, AWS_ENDPOINT_URL_FIREHOSE: url },
  cpus,
});

async function closeAll(
  world: World,
  receiver: FirehoseReceiver,
  names: readonly string[],
): Promise<void> {
  for (const name of names) await world.stop(name);
  await receiver.close();
}

async function sampleLines(
  { signal }: World,
  producer: MeasuredServer,
  measured: readonly MeasuredServer[],
  receiver: FirehoseReceiver,
  count: number,
): Promise<Sample> {
  const cpuMs = (): number => measured.reduce((sum, server) => sum + server.cpuMs(), 0);
  const [linesBefore, cpuBefore, startedAt] = [receiver.lines(), cpuMs(), performance.now()];
  await runBatch(producer, { count }, signal);
  await waitUntil('all lines are shipped', () => receiver.lines() - linesBefore >= count, {
    limitMs: SHIPPED_WITHIN_MS,
    signal,
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  return {
    perSecond: count / seconds,
    cpuUs: ((cpuMs() - cpuBefore) * 1_000) / count,
    residentMb: Math.max(...measured.map((server) => server.residentMb())),
  };
}

const WAITING_LINES = 20_000;
const LINE_BYTES = 300;
/** The spool seals what it has at least once a second. */
const SETTLED_AFTER_MS = 1_500;

/** By a new process, which leaves its lines in Redis and is killed: none looks for them later. */
async function sampleMemory(world: World, kind: Readonly<Record<string, number>>): Promise<Sample> {
  const { logsRedis, signal } = world;
  await logsRedis.flushdb();
  // Each has a spool of its own.
  const name = `log-writer-${randomUUID()}`;
  const writer = await world.server(logWriter(world, name));
  await runBatch(writer, { count: WAITING_LINES, ...kind }, signal);
  const bytes = await settledBytes(logsRedis, signal);
  const { size } = await stat(writer.logFile);
  writer.kill();
  await world.stop(name);
  await logsRedis.flushdb();
  return { redisBytes: (bytes / size) * LINE_BYTES };
}

/** Waits until nothing more comes in. */
async function settledBytes(redis: World['logsRedis'], signal: AbortSignal): Promise<number> {
  let last = -1;
  let sameSince = performance.now();
  let bytes = 0;
  const isSettled = async (): Promise<boolean> => {
    bytes = await bytesOfKeys(redis);
    if (bytes !== last) sameSince = performance.now();
    last = bytes;
    return bytes > 0 && performance.now() - sameSince > SETTLED_AFTER_MS;
  };
  await waitUntil('all lines are in Redis', isSettled, { limitMs: SHIPPED_WITHIN_MS, signal });
  return bytes;
}

async function bytesOfKeys(redis: World['logsRedis']): Promise<number> {
  const keys = await redis.keys('*');
  const sizes = await Promise.all(keys.map((key) => redis.memory('USAGE', key, 'SAMPLES', 0)));
  return sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
}

interface Drain {
  readonly writer: MeasuredServer;
  readonly all: readonly MeasuredServer[];
  readonly workers: readonly MeasuredServer[];
  readonly receiver: FirehoseReceiver;
  readonly count: number;
}

/** Lets lines pile up in Redis while the workers are paused, and measures how fast some of them ship the pile. */
async function sampleDrain(world: World, drain: Drain): Promise<Sample> {
  const { writer, all, workers, receiver, count } = drain;
  for (const worker of all) worker.kill('SIGSTOP');
  const linesBefore = receiver.lines();
  await runBatch(writer, { count }, world.signal);
  await settledBytes(world.logsRedis, world.signal);
  const startedAt = performance.now();
  const cpuBefore = workers.reduce((sum, worker) => sum + worker.cpuMs(), 0);
  for (const worker of workers) worker.kill('SIGCONT');
  await waitUntil('all lines are shipped', () => receiver.lines() - linesBefore >= count, {
    limitMs: SHIPPED_WITHIN_MS,
    signal: world.signal,
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpuMs = workers.reduce((sum, worker) => sum + worker.cpuMs(), 0) - cpuBefore;
  return { perSecond: count / seconds, cpuUs: (cpuMs * 1_000) / count };
}
