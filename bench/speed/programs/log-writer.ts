import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { requestMembers } from '../../../api/http/request-context.js';
import { loadApiConfig } from '../../../shared/config/config.js';
import { openLogging } from '../../../shared/log-shipping/open-logging.js';
import { openQueues } from '../../../shared/queues/queues.js';

// The API's logging without its requests: GET /run?count=N writes N lines like those of requests through the API's own logger,
// spool and shipping; with &short=1 lines of about 300 bytes.

const LINES_PER_TURN = 100;

const config = loadApiConfig();
const { log, startShipping } = openLogging(config, 'rollcall-api');
startShipping(openQueues(config.redis, log));

const server = createServer((req, res) => {
  const { searchParams } = new URL(req.url ?? '/', 'http://localhost');
  const write = searchParams.has('short') ? writeShortLine : writeRequestLine;
  writeLines(Number(searchParams.get('count')), write).then(
    () => res.end('{}'),
    res.destroy.bind(res),
  );
});
server.listen(config.http.port, config.http.host);
process.once('SIGTERM', () => process.exit());

async function writeLines(count: number, write: () => void): Promise<void> {
  for (let written = 0; written < count; written += 1) {
    // As in the API, where each request has a turn of its own, or shares it with a few.
    if (written % LINES_PER_TURN === 0) await nextTurn();
    write();
  }
}

function writeRequestLine(): void {
  const context = {
    requestId: randomUUID(),
    traceId: randomBytes(16).toString('hex'),
    spanId: randomBytes(8).toString('hex'),
    ip: '127.0.0.1',
    adminId: randomInt(1_000),
  };
  const request = { method: 'GET', url: `/users/${randomInt(1_000_000)}` };
  const outcome = { status: 200, durationNs: randomInt(100_000, 9_000_000), isSuccess: true };
  log.members('info', requestMembers(context, request, outcome), 'request');
}

/** With what every line has, about 300 bytes. */
function writeShortLine(): void {
  const traceId = randomBytes(16).toString('hex');
  log.info({ 'trace.id': traceId, 'url.path': `/users/${randomInt(1_000_000)}` }, 'request');
}
