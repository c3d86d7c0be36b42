import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import test from 'ava';
import { openFirehoseSink } from '../../workers/logs/firehose.sink.js';
import { encodeRequest } from '../../workers/logs/put-record-batch.js';
import { SinkFailure } from '../../workers/logs/record-sink.port.js';
import { shareProcess, type Scope } from '../helpers/context.js';

shareProcess();

const records = ['', 'a', 'ab', 'abc', 'abcd', '{"text":"ü€𝄞\\n"}\n', 'x'.repeat(10_001)].map(
  (text) => Buffer.from(text),
);

for (const count of [0, 1, records.length]) {
  test(`a request with ${count} records is the JSON that the SDK sends`, (t) => {
    const some = records.slice(0, count);
    t.deepEqual(JSON.parse(String(encodeRequest('a "stream" für logs', some))), {
      DeliveryStreamName: 'a "stream" für logs',
      Records: some.map((record) => ({ Data: record.toString('base64') })),
    });
  });
}

// Serial: the endpoint's address is in an environment variable.
test.serial('each attempt has the same signed body and the SDK’s headers', async (t) => {
  const server = await openServer(t, (attempt) =>
    attempt === 1 ? { status: 503, body: '{}' } : { status: 200, body: answerFor(2) },
  );
  const sink = openSink(t, server.url);
  t.deepEqual(
    await sink.put([Buffer.from('1\n'), Buffer.from('2\n')], new AbortController().signal),
    [],
  );
  t.is(server.requests.length, 2);
  for (const { headers, body } of server.requests) {
    t.deepEqual(body, encodeRequest('stream', [Buffer.from('1\n'), Buffer.from('2\n')]));
    t.is(headers['content-length'], String(body.length));
    t.is(headers['x-amz-content-sha256'], createHash('sha256').update(body).digest('hex'));
    t.is(headers['x-amz-target'], 'Firehose_20150804.PutRecordBatch');
    t.is(headers['content-type'], 'application/x-amz-json-1.1');
    t.regex(
      headers.authorization ?? '',
      /^AWS4-HMAC-SHA256 Credential=key\/.*x-amz-content-sha256/,
    );
  }
});

test.serial('a clock that is wrong is corrected by the time of the service', async (t) => {
  const hour = 3_600_000;
  const date = new Date(Date.now() + hour).toUTCString();
  const server = await openServer(t, (attempt) =>
    attempt === 1
      ? { status: 400, body: '{"__type":"RequestTimeTooSkewed","message":"no"}', headers: { date } }
      : { status: 200, body: answerFor(1), headers: { date } },
  );
  const sink = openSink(t, server.url);
  t.deepEqual(await sink.put([Buffer.from('1\n')], new AbortController().signal), []);
  const [first, second] = server.requests.map(({ headers }) => signedAt(headers));
  t.true(Math.abs((second ?? 0) - (first ?? 0) - hour) < 60_000);
});

for (const [what, body] of [
  ['is not JSON', 'no'],
  ['has no responses', '{"FailedPutCount":0}'],
  ['has a response too few', answerFor(1)],
  ['has a wrong count', '{"FailedPutCount":-1,"RequestResponses":[{},{}]}'],
  ['has a response that is none', '{"FailedPutCount":1,"RequestResponses":[{},7]}'],
  ['counts failures and names none', '{"FailedPutCount":2,"RequestResponses":[{},{}]}'],
  [
    'counts more failures than it names',
    '{"FailedPutCount":2,"RequestResponses":[{"ErrorCode":"Slow"},{"RecordId":"r","ErrorCode":null}]}',
  ],
] as const) {
  test.serial(`an answer that ${what} makes the sink unavailable`, async (t) => {
    const server = await openServer(t, () => ({ status: 200, body }));
    const sink = openSink(t, server.url);
    const put = sink.put([Buffer.from('1\n'), Buffer.from('2\n')], new AbortController().signal);
    await t.throwsAsync(put, {
      name: 'SinkFailure',
      message: 'Firehose gave an answer that cannot be read',
    });
  });
}

test.serial(
  'a record with an error is not accepted, whatever the count of failures says',
  async (t) => {
    const body = '{"FailedPutCount":0,"RequestResponses":[{"RecordId":"r"},{"ErrorCode":"Slow"}]}';
    const server = await openServer(t, () => ({ status: 200, body }));
    const put = openSink(t, server.url).put([Buffer.from('1'), Buffer.from('2')], signal());
    t.deepEqual(await put, [{ position: 1, reason: 'Slow', isThrottling: true }]);
  },
);

test.serial('a null in place of an error is none', async (t) => {
  const entries = '[{"RecordId":"r","ErrorCode":null},{"ErrorCode":"Slow"}]';
  const body = `{"FailedPutCount":1,"RequestResponses":${entries}}`;
  const server = await openServer(t, () => ({ status: 200, body }));
  const put = openSink(t, server.url).put([Buffer.from('1'), Buffer.from('2')], signal());
  t.deepEqual(await put, [{ position: 1, reason: 'Slow', isThrottling: true }]);
});

for (const [status, effect] of [
  [413, 'invalid'],
  [401, 'misconfigured'],
  [403, 'misconfigured'],
  [404, 'misconfigured'],
  [502, 'unavailable'],
] as const) {
  test.serial(`a page of a proxy with the status ${status}: ${effect}`, async (t) => {
    const headers = { 'content-type': 'text/html' };
    const server = await openServer(t, () => ({ status, body: '<html>no</html>', headers }));
    const put = openSink(t, server.url).put([Buffer.from('1')], signal());
    const error = await t.throwsAsync(put, { instanceOf: SinkFailure });
    t.is(error?.effect, effect);
  });
}

const signal = (): AbortSignal => new AbortController().signal;

function answerFor(count: number): string {
  const RequestResponses = Array.from({ length: count }, () => ({ RecordId: 'r' }));
  return JSON.stringify({ FailedPutCount: 0, RequestResponses });
}

/** The time in a signature, in milliseconds since the epoch. */
function signedAt({ 'x-amz-date': text }: IncomingMessage['headers']): number {
  const time = String(text).replace(
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/,
    '$1-$2-$3T$4:$5:$6Z',
  );
  return Date.parse(time);
}

function openSink(scope: Scope, url: string) {
  process.env['AWS_ENDPOINT_URL_FIREHOSE'] = url;
  const credentials = { accessKeyId: 'key', secretAccessKey: 'secret' };
  const sink = openFirehoseSink({ stream: 'stream', region: 'eu-central-1', credentials });
  scope.teardown(() => {
    delete process.env['AWS_ENDPOINT_URL_FIREHOSE'];
    return sink.close();
  });
  return sink;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function openServer(scope: Scope, answer: (attempt: number) => Answer) {
  const requests: { headers: IncomingMessage['headers']; body: Buffer }[] = [];
  const respond = async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of req as AsyncIterable<Buffer>) chunks.push(chunk);
    requests.push({ headers: req.headers, body: Buffer.concat(chunks) });
    const { status, body, headers } = answer(requests.length);
    res.writeHead(status, { 'content-type': 'application/x-amz-json-1.1', ...headers }).end(body);
  };
  const server = createServer((req, res) => void respond(req, res));
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  scope.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { url: `http://127.0.0.1:${port}`, requests };
}
