import test from 'ava';
import { Queue } from 'bullmq';
import { openQueues } from '../../../shared/queues/queues.js';
import { redisAddress } from '../../../shared/queues/redis-client.js';
import { useContext } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { anyJob } from '../../helpers/any-job.js';

const context = useContext();
const DAY_MS = 86_400_000;
/** The pauses of the job workers: full jitter under 1 s × 2ⁿ, at most 15 minutes. */
const boundMs = (tries: number): number => Math.min(15 * 60_000, 1_000 * 2 ** tries);

test('the tries of a mail outlast a day without a mail server, whatever the dice say', async (t) => {
  const queues = openQueues(
    { url: context.redisUrl, logsUrl: context.redisUrl },
    createRecordingLogger().log,
  );
  const queue = new Queue('mail', { connection: redisAddress(context.redisUrl), prefix: '{mail}' });
  t.teardown(() => Promise.all([queues.close(), queue.close()]));
  await eventually(() => queues.ping().then(() => true));
  await queues.mail.add({
    id: 'o-x-0',
    contract: anyJob('mail', 'send-confirmation-mail'),
    data: {},
  });
  const attempts = (await queue.getJob('o-x-0'))?.opts.attempts ?? 0;

  const bounds = Array.from({ length: attempts - 1 }, (_, i) => boundMs(i + 1));
  const mean = bounds.reduce((sum, bound) => sum + bound / 2, 0);
  const deviation = Math.sqrt(bounds.reduce((sum, bound) => sum + bound ** 2 / 12, 0));
  t.true(mean - 4 * deviation > DAY_MS);
  t.true(mean < 1.5 * DAY_MS);
});
