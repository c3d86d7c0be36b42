import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { FirehoseClient, PutRecordBatchCommand } from '@aws-sdk/client-firehose';
import { serveBatches } from './batches.mjs';
import { settings } from './settings.mjs';

// Log lines without anything in between: made by JSON.stringify, sent by the SDK, four batches in flight. What is not accepted
// when the process ends is lost.

const BATCH_LINES = 500;
const IN_FLIGHT = 4;

const client = new FirehoseClient({
  region: 'us-east-1',
  endpoint: settings.endpoint,
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
});

serveBatches(async ({ count }) => {
  let left = count;
  const sendUntilDone = async () => {
    while (left > 0) {
      const lines = Math.min(left, BATCH_LINES);
      left -= lines;
      const Records = Array.from({ length: lines }, () => ({ Data: Buffer.from(line()) }));
      await client.send(new PutRecordBatchCommand({ DeliveryStreamName: 'bench', Records }));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, sendUntilDone));
});

/** The fields of the product's line of a request. */
function line() {
  return `${JSON.stringify({
    'log.level': 'info',
    '@timestamp': new Date().toISOString(),
    'service.name': 'rollcall-api',
    'service.version': '0.1.0',
    'service.environment': 'production',
    'host.name': 'bench',
    'process.pid': process.pid,
    'event.id': randomUUID(),
    'http.request.id': randomUUID(),
    'trace.id': randomBytes(16).toString('hex'),
    'span.id': randomBytes(8).toString('hex'),
    'http.request.method': 'GET',
    'url.path': `/users/${randomInt(1_000_000)}`,
    'http.response.status_code': 200,
    'event.duration': randomInt(100_000, 9_000_000),
    'event.outcome': 'success',
    'client.ip': '127.0.0.1',
    'user.id': String(randomInt(1_000)),
    message: 'request',
  })}\n`;
}
