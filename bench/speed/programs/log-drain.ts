import { createServer } from 'node:http';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { loadApiConfig } from '../../../shared/config/config.js';
import { createReceipts } from '../../../shared/queues/receipts.js';
import { queuePrefix } from '../../../shared/queues/registry.js';

// Takes the log batches of the APIs under test and ships none of them, as cheap as can be: without it the batches would pile up
// until Redis has no room, and APIs would look for them again and again.

const config = loadApiConfig();
const receipts = createReceipts(new Redis(config.redis.logsUrl));

const worker = new Worker('logs', ({ id = '' }) => receipts.write(id), {
  prefix: queuePrefix('logs'),
  connection: { url: config.redis.logsUrl, maxRetriesPerRequest: null },
});
// It is killed together with Redis.
worker.on('error', () => undefined);
createServer((_req, res) => res.end('{}')).listen(config.http.port, config.http.host);
