import { readFirehoseEnv } from '../../env.js';
import { openFirehoseEndpoint } from './firehose-endpoint.js';

const { port, host, dataDir } = readFirehoseEnv();
const endpoint = await openFirehoseEndpoint({ port, host, dataDir });
process.stdout.write(
  `Firehose endpoint and log viewer at ${endpoint.url}, records in ${dataDir}\n`,
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void endpoint.close());
}
