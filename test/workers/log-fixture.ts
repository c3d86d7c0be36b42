import { createServer } from 'node:http';
import { packLines } from '../../shared/jobs/ship-log-batch.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import { openFirehoseSink } from '../../workers/logs/firehose.sink.js';
import { createShipLogBatch } from '../../workers/logs/ship-log-batch.processor.js';
import type { Scope } from '../helpers/context.js';
import { createRecordingLogger } from '../helpers/log.js';
import { jobContext, type TestJobContext } from './fixture.js';

let streams = 0;

/** Shipping to a stream of its own at this endpoint, which the process has one of: tests take turns. */
export function openLogFixture(scope: Scope, url: string) {
  globalThis.process.env['AWS_ENDPOINT_URL_FIREHOSE'] = url;
  const stream = `s${++streams}`;
  const sink = openFirehoseSink({
    stream,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  });
  scope.teardown(() => sink.close());
  const faults = createDependencyFaults();
  const { log, lines: logged } = createRecordingLogger();
  const receipts: string[] = [];
  const receiptBook = {
    isLost: false,
    async write(jobId: string) {
      if (receiptBook.isLost) throw new Error('Redis is full');
      receipts.push(jobId);
    },
    async find(jobIds: readonly string[]) {
      if (receiptBook.isLost) throw new Error('Redis is away');
      return new Set(jobIds.filter((id) => receipts.includes(id)));
    },
  };
  const process = createShipLogBatch({ sink, receipts: receiptBook, faults, localLog: log });
  return {
    stream,
    process,
    receipts,
    receiptBook,
    problem: async () => (await faults.checks.firehose()).problem,
    told: () => logged.map(({ msg, 'event.reason': reason }) => [msg, reason]),
    async ship(batch: readonly string[], tried: TestJobContext = jobContext()): Promise<string> {
      return process(await packLines(Buffer.from(batch.join(''))), tried);
    },
  };
}

/** So many small lines. */
export const lines = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => `{"n":${i}}\n`);

/** A Firehose that refuses a call for any record like this, as a whole. */
export async function openPickyServer(
  scope: Scope,
  refused: RegExp,
  type = 'InvalidArgumentException',
) {
  const taken: string[] = [];
  let isPicky = true;
  let calls = 0;
  const url = await openServer(scope, (records) => {
    calls += 1;
    if (isPicky && records.some((record) => refused.test(record))) {
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
    relent: () => {
      isPicky = false;
    },
  };
}

/** A Firehose that answers as it is told. */
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
