import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
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
  const fields = searchParams.has('short') ? fewFields : requestFields;
  writeLines(Number(searchParams.get('count')), fields).then(
    () => res.end('{}'),
    res.destroy.bind(res),
  );
});
server.listen(config.http.port, config.http.host);
process.once('SIGTERM', () => process.exit());

async function writeLines(count: number, fields: () => object): Promise<void> {
  for (let written = 0; written < count; written += 1) {
    // As in the API, where each request has a turn of its own, or shares it with a few.
    if (written % LINES_PER_TURN === 0) await nextTurn();
    log.info(fields(), 'request');
  }
}

function requestFields(): object {
  return {
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
  };
}

/** With what every line has, about 300 bytes. */
function fewFields(): object {
  return {
    'trace.id': randomBytes(16).toString('hex'),
    'url.path': `/users/${randomInt(1_000_000)}`,
  };
}
