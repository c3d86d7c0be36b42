import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../../../dev/emulators/firehose/firehose-endpoint.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { createAdmins } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { useContext, type Scope } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openOwnRedis } from '../../helpers/own-redis.js';
import { runApi, runWorker } from '../../helpers/servers.js';
import { openSmtpServer } from '../../helpers/smtp-server.js';
import { createSpoolFixture } from '../../shared/log-shipping/spool-fixture.js';

const context = useContext();
const MEBIBYTE = 1_024 * 1_024;
const LINES = 480;
/** Random bytes: no compression makes the flood smaller. 60 MiB in all, of which Redis may take 38. */
const LINE_BYTES = MEBIBYTE / 8;
const MAILS = 10;

test.serial(
  'a Redis of 64 MB that is flooded with logs never stops the mails, and drains by itself',
  async (t) => {
    t.timeout(240_000);
    const redis = await openOwnRedis(t, { maxMemory: '64mb' });
    const firehose = await openOwnFirehose(t);
    firehose.setFaults({ mode: 'unavailable' });
    const smtp = await openSmtpServer(t);
    const env = {
      ...smtp.env,
      REDIS_URL: redis.url,
      AWS_ENDPOINT_URL_FIREHOSE: firehose.url,
    };
    const api = await runApi(context, { scope: t, env });
    await runWorker(context, { scope: t, env });

    const { segments, flood } = await openFlood(t, redis.url);
    flood();
    await eventually(async () => (await redis.usedShare()) > 0.5);

    const admins = createAdmins(context, createClient(api.url));
    await Promise.all(Array.from({ length: MAILS }, () => admins.registerAdmin()));
    await eventually(() => smtp.taken.length === MAILS);
    const share = await redis.usedShare();
    t.true(share > 0.5 && share < 0.75, `${share} of the memory is used`);
    t.true((await segments()).length > 0, 'the rest of the flood waits on disk');

    firehose.resetFaults();
    // Reading them all is slow: not before there can be enough.
    await eventually(
      async () => firehose.stats().records >= LINES && (await arrived(firehose)) === LINES,
      { withinMs: 110_000, of: 'every line of the flood arriving' },
    );
    await eventually(async () => (await redis.usedShare()) < 0.3);
    t.is(firehose.stats().refused_calls, 0);
  },
);

/** A process that has far more to log than Redis can take. */
async function openFlood(scope: Scope, redisUrl: string) {
  const stage = await createSpoolFixture(scope);
  const opened = stage.open({ maxBytes: 512 * MEBIBYTE });
  const queues = openQueues({ url: redisUrl, logsUrl: redisUrl }, createRecordingLogger().log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true));
  opened.ship({
    queue: queues.logs,
    receipts: queues.receipts,
    room: queues.room.logs,
  });
  return {
    segments: stage.segments,
    flood() {
      for (let number = 1; number <= LINES; number++) {
        const noise = randomBytes((LINE_BYTES * 3) / 4).toString('base64');
        opened.spool.write(`${JSON.stringify({ flood: number, noise })}\n`);
      }
    },
  };
}

const arrived = async (firehose: FirehoseEndpoint): Promise<number> => {
  const records = await firehose.records(context.streamName);
  return new Set(records.map(({ document }) => document?.['flood']).filter(Boolean)).size;
};

async function openOwnFirehose(scope: Scope) {
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-firehose-'));
  scope.teardown(() => rm(dataDir, { recursive: true, force: true }));
  const firehose = await openFirehoseEndpoint({ dataDir, port: 0, host: '127.0.0.1' });
  scope.teardown(() => firehose.close());
  return firehose;
}
