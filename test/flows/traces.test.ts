import test from 'ava';
import { openTracer } from '../../shared/tracing/open-tracer.js';
import type { FinishedSpan } from '../../shared/tracing/tracer.js';
import { createClient } from '../helpers/api-client.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger } from '../helpers/log.js';
import { mailOutcomes } from '../helpers/outbox.js';
import { startWorker } from '../helpers/processes.js';
import { runApi, runWorker } from '../helpers/servers.js';
import { openSmtpServer } from '../helpers/smtp-server.js';
import { openCollector, type ExportedSpan } from '../helpers/trace-collector.js';

const context = useContext();
let system: Awaited<ReturnType<typeof openSystem>>;
test.serial.before(async () => {
  system = await openSystem();
});

const CLIENT_SPAN = '00f067aa0ba902b7';
const traceOf = (digit: string): string => digit.repeat(32);

test.serial('the trace of a registration is one tree over three processes', async (t) => {
  const { collector, api, smtp } = system;
  const email = context.uniqueAddress();
  const traceId = traceOf('a');
  const { requestId } = await register(api.url, email, `00-${traceId}-${CLIENT_SPAN}-01`);
  t.deepEqual(await mailOutcomes(context, email, 1), [
    { outcome: 'sent', template: 'confirmation' },
  ]);
  const spans = await collector.waitFor(traceId, ['server', 'producer', 'consumer', 'client']);

  const server = find(spans, 'server');
  t.like(server, {
    name: 'POST /auth/register',
    parentSpanId: CLIENT_SPAN,
    service: 'rollcall-api',
  });
  t.like(server.attributes, {
    'http.request.method': 'POST',
    'http.route': '/auth/register',
    'http.response.status_code': 202,
    'rollcall.request.id': requestId,
  });
  const [message] = await context.rows<{ id: string; span_id: string; trace_id: string }>(
    'select id, span_id, trace_id from outbox where recipient = $1',
    [email],
  );
  t.is(message?.span_id, server.spanId, "the row's span is the exported one");
  t.is(message?.trace_id, traceId);

  const producer = find(spans, 'producer');
  t.like(producer, { name: 'send mail', parentSpanId: server.spanId, service: 'rollcall-api' });
  const consumer = find(spans, 'consumer');
  t.like(consumer, {
    name: 'process mail',
    parentSpanId: server.spanId,
    service: 'rollcall-worker',
  });
  t.like(consumer.attributes, {
    'messaging.system': 'bullmq',
    'messaging.destination.name': 'mail',
    'messaging.message.id': `o-${message?.id}-0`,
    'rollcall.result': 'sent',
  });
  t.is(consumer.attributes['messaging.message.id'], producer.attributes['messaging.message.id']);
  const client = find(spans, 'client');
  t.like(client, { name: 'SMTP send', parentSpanId: consumer.spanId });
  t.like(client.attributes, {
    'server.address': smtp.host,
    'server.port': smtp.port,
    'network.protocol.name': 'smtp',
    'rollcall.smtp.reply_code': 250,
  });
  t.true(isOneTree(spans, CLIENT_SPAN));
  t.true(spans.every(({ startedAt, endedAt }) => startedAt > 0n && endedAt >= startedAt));
  t.notRegex(
    JSON.stringify(spans, (_, value: unknown) => String(value)),
    new RegExp(email),
  );

  const mail = smtp.taken.find(({ to }) => to.includes(email));
  t.regex(mail?.source ?? '', new RegExp(`^X-Trace-Id: ${traceId}\r$`, 'm'));
});

test.serial(
  'a mail that the relay had to hand over is in the tree of its registration',
  async (t) => {
    // Nothing listens there: the API cannot enqueue.
    const { collector, env } = system;
    const api = await runApi(context, {
      scope: t,
      env: { ...env, REDIS_URL: 'redis://127.0.0.1:9/0', FIREHOSE_DELIVERY_STREAM: undefined },
    });
    const email = context.uniqueAddress();
    const traceId = traceOf('b');
    await register(api.url, email, `00-${traceId}-${CLIENT_SPAN}-01`);
    t.is((await mailOutcomes(context, email, 1))[0]?.outcome, 'sent');
    const spans = await collector.waitFor(
      traceId,
      ['server', 'producer', 'consumer', 'client'],
      (span) => span.kind !== 'producer' || span.service === 'rollcall-worker',
    );
    const server = find(spans, 'server');
    const producer = spans.find(
      ({ kind, service }) => kind === 'producer' && service === 'rollcall-worker',
    );
    const consumer = find(spans, 'consumer');
    t.is(producer?.parentSpanId, server.spanId);
    t.is(consumer.parentSpanId, server.spanId);
    t.true(isOneTree(spans, CLIENT_SPAN));
    t.is(new Set([server.process, producer?.process, consumer.process]).size, 3, 'three processes');
  },
);

test.serial(
  'a refused mail says so in its spans; the next generation is in the same tree',
  async (t) => {
    const { collector, api } = system;
    const email = context.uniqueAddress('refused');
    const traceId = traceOf('c');
    await register(api.url, email, `00-${traceId}-${CLIENT_SPAN}-01`);
    const spans = await collector.waitFor(traceId, ['server', 'producer', 'consumer', 'client']);
    t.like(find(spans, 'client'), { error: '550 no such user' });
    t.is(find(spans, 'client').attributes['rollcall.smtp.reply_code'], 550);
    t.like(find(spans, 'consumer'), { error: '550 no such user' });
    await context.rows(
      `update outbox set state = 'pending', generation = 1, available_at = now() where recipient = $1`,
      [email],
    );
    const again = await collector.waitFor(traceId, ['consumer'], ({ attributes }) =>
      String(attributes['messaging.message.id']).endsWith('-1'),
    );
    t.true(isOneTree(again, CLIENT_SPAN));
  },
);

test.serial('a client that does not want to be traced is not, nor is its mail', async (t) => {
  const { collector, api } = system;
  const email = context.uniqueAddress();
  await register(api.url, email, `00-${traceOf('d')}-${CLIENT_SPAN}-00`);
  t.is((await mailOutcomes(context, email, 1))[0]?.outcome, 'sent');
  const other = context.uniqueAddress();
  await register(api.url, other, `00-${traceOf('e')}-${CLIENT_SPAN}-01`);
  await collector.waitFor(traceOf('e'), ['client']);
  t.deepEqual(collector.of(traceOf('d')), []);
});

test.serial(
  'a batch of log lines has a trace of its own, with links to the requests in it',
  async (t) => {
    const { collector, api } = system;
    const traceId = traceOf('f');
    for (let i = 0; i < 12; i += 1)
      await createClient(api.url).get('/', {
        headers: { traceparent: `00-${traceId}-${CLIENT_SPAN}-01` },
      });
    const batch = await eventually(
      () =>
        collector.spans.find(
          ({ name, links }) =>
            name === 'process logs' && links.some((link) => link.traceId === traceId),
        ),
      { of: 'the batch' },
    );
    t.is(batch.kind, 'consumer');
    t.is(batch.parentSpanId, '');
    t.true(batch.links.length <= 10);
    // The API sends its spans by itself, perhaps later.
    await eventually(() => {
      const requests = collector.of(traceId).map(({ spanId }) => spanId);
      return batch.links.some(({ spanId }) => requests.includes(spanId));
    });
    const [call] = await collector.waitFor(batch.traceId, ['client']);
    t.truthy(call);
    const put = find(collector.of(batch.traceId), 'client');
    t.like(put, { name: 'Firehose/PutRecordBatch', parentSpanId: batch.spanId });
    t.true(Number(put.attributes['messaging.batch.message_count']) > 0);
  },
);

const settings = (tracesUrl: string | undefined) => ({
  tracesUrl,
  logging: { environment: 'test' as const, level: 'info' as const },
});
const span: FinishedSpan = {
  name: 'GET /',
  kind: 'server',
  traceId: traceOf('1'),
  spanId: '1'.repeat(16),
  startedAt: Date.now(),
  endedAt: Date.now() + 1,
  attributes: {},
  error: 'refused for ann@example.com',
};

test('spans wait within bounds; what the collector does not take is counted and told of once', async (t) => {
  const { log, lines, messages } = createRecordingLogger();
  const collector = await openCollector(t, 500);
  const tracer = await openTracer(settings(collector.url), 's', log);
  for (let i = 0; i < 5_000; i += 1) tracer?.record(span);
  await eventually(() => messages().includes('traces lost'), { of: 'the log line' });
  await tracer?.close();
  t.is(lines.find(({ msg }) => msg === 'traces lost')?.['labels.lost_spans'], 1);
  t.true(messages().filter((message) => message === 'traces lost').length <= 2);
});

test('what is left at the end is exported; addresses in errors are masked', async (t) => {
  const { log } = createRecordingLogger();
  const collector = await openCollector(t);
  const tracer = await openTracer(settings(`${collector.url}/`), 's', log);
  tracer?.record(span);
  tracer?.record({ ...span, error: `${'x'.repeat(999)}\u{1f469}` });
  await tracer?.close();
  t.like(collector.spans[0], { name: 'GET /', error: 'refused for [address]', service: 's' });
  t.is(collector.spans[1]?.error, `${'x'.repeat(999)}\ufffd`, 'no half of a character');
});

test('a collector that hangs holds nobody up at the end for more than a second', async (t) => {
  const { log } = createRecordingLogger();
  const collector = await openCollector(t, 'hang');
  const tracer = await openTracer(settings(collector.url), 's', log);
  tracer?.record(span);
  const closed = tracer?.close().then(() => 'closed');
  const late = new Promise((resolve) => {
    setTimeout(resolve, 10_000, 'late').unref();
  });
  t.is(await Promise.race([closed, late]), 'closed');
});

test('without a collector there is no tracer', async (t) => {
  const { log } = createRecordingLogger();
  t.is(await openTracer(settings(undefined), 's', log), undefined);
});

/** An API and a mail worker here, and a relay in a process of its own, all of which export to one collector. */
async function openSystem() {
  const collector = await openCollector(context);
  const smtp = await openSmtpServer(context, {
    onRecipient: (to) => (to.startsWith('refused') ? { code: 550, text: 'no such user' } : 'take'),
  });
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...smtp.env };
  const relay = startWorker(context, { env: { ...env, WORKER_ROLES: 'relay' } });
  const api = await runApi(context, { env });
  await runWorker(context, { env: { ...env, WORKER_ROLES: 'mail,logs' } });
  await relay;
  return { collector, api, smtp, env };
}

let people = 0;

async function register(url: string, email: string, traceparent: string) {
  const name = `Traced ${(people += 1)}`;
  const body = { email, name, password: 'a phrase that nobody has guessed' };
  const answer = await createClient(url).post('/auth/register', body, { headers: { traceparent } });
  if (answer.status !== 202) throw new Error(`answered ${answer.status}`);
  return answer;
}

function find(spans: readonly ExportedSpan[], kind: FinishedSpan['kind']): ExportedSpan {
  const found = spans.find((each) => each.kind === kind);
  if (!found) throw new Error(`no span of the kind ${kind}`);
  return found;
}

/** Every span has its parent among the others, but for one, whose parent is the client's. */
function isOneTree(spans: readonly ExportedSpan[], root: string): boolean {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const outside = spans.filter(({ parentSpanId }) => !ids.has(parentSpanId));
  return outside.length === 1 && outside[0]?.parentSpanId === root;
}
