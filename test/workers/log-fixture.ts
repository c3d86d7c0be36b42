import { createServer } from 'node:http';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { packLines } from '../../shared/jobs/ship-log-batch.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import { openFirehoseSink } from '../../workers/logs/firehose.sink.js';
import { measuredSink } from '../../workers/logs/measured-sink.js';
import {
  createShipLogBatch,
  type ShipLogBatchDeps,
} from '../../workers/logs/ship-log-batch.processor.js';
import type { Scope } from '../helpers/context.js';
import { createRecordingLogger } from '../helpers/log.js';
import { jobContext, type TestJobContext } from './fixture.js';

let streams = 0;

/** A processor for a stream of its own at this endpoint, with receipts in memory unless others are given. The process can have one endpoint at a time: run tests serially. */
export function openLogFixture(scope: Scope, url: string, kept?: ShipLogBatchDeps['receipts']) {
  globalThis.process.env['AWS_ENDPOINT_URL_FIREHOSE'] = url;
  const stream = `s${++streams}`;
  const sink = openFirehoseSink({
    stream,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  });
  scope.teardown(() => {
    delete globalThis.process.env['AWS_ENDPOINT_URL_FIREHOSE'];
    return sink.close();
  });
  const faults = createDependencyFaults();
  const { log, lines: logged } = createRecordingLogger();
  const receipts: string[] = [];
  const receiptStore = {
    isLost: false,
    async write(jobId: string) {
      if (receiptStore.isLost) throw new Error('Redis is full');
      receipts.push(jobId);
    },
    async find(jobIds: readonly string[]) {
      if (receiptStore.isLost) throw new Error('Redis is away');
      return new Set(jobIds.filter((id) => receipts.includes(id)));
    },
  };
  const metrics = createMetrics('worker');
  const process = createShipLogBatch({
    sink: measuredSink(sink, metrics),
    receipts: kept ?? receiptStore,
    faults,
    metrics,
    localLog: log,
  });
  return {
    stream,
    process,
    faults,
    log,
    metrics,
    receipts,
    receiptStore,
    problem: async () => (await faults.checks.firehose()).problem,
    logged: () => logged.map(({ msg, 'event.reason': reason }) => [msg, reason]),
    async ship(batch: readonly string[], context: TestJobContext = jobContext()): Promise<string> {
      return process(await packLines(Buffer.from(batch.join(''))), context);
    },
  };
}

/** This many small lines. */
export const lines = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `{"n":${i}}\n`);

/** A Firehose that rejects a whole call if any of its records matches. */
export async function openStrictServer(
  scope: Scope,
  refused: RegExp,
  type = 'InvalidArgumentException',
) {
  const taken: string[] = [];
  let isStrict = true;
  let calls = 0;
  const url = await openServer(scope, (records) => {
    calls += 1;
    if (isStrict && records.some((record) => refused.test(record))) {
      return { status: 400, body: { __type: type, message: 'no' } };
    }
    taken.push(...records);
    const RequestResponses = records.map(() => ({ RecordId: 'r' }));
    return { status: 200, body: { FailedPutCount: 0, RequestResponses } };
  });
  return {
    url,
    taken,
    calls: () => calls,
    acceptAll: () => {
      isStrict = false;
    },
  };
}

/** A Firehose with these responses. */
export async function openServer(
  scope: Scope,
  answer: (records: string[]) => { status: number; body: object },
): Promise<string> {
  const server = createServer((req, res) => {
    void (async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
      const { Records } = JSON.parse(Buffer.concat(chunks).toString()) as {
        Records: { Data: string }[];
      };
      const { status, body } = answer(
        Records.map(({ Data }) => Buffer.from(Data, 'base64').toString()),
      );
      res
        .writeHead(status, { 'content-type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify(body));
    })();
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  scope.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
}
