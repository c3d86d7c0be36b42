import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openQueues } from '../../../shared/queues/queues.js';
import { refusalOfRedis } from '../../../shared/queues/redis-refusals.js';
import { shareProcess } from '../../helpers/context.js';
import { createRecordingLogger } from '../../helpers/log.js';
import { openOwnRedis } from '../../helpers/own-redis.js';

shareProcess();

const NO_RIGHTS = 'refuses commands: NOPERM (the user lacks rights)';
const SCRIPTS = 'node_modules/bullmq/dist/cjs/scripts';
/** BullMQ's scripts that add, take, finish, delay and pause jobs. */
const USED =
  /^(?:addStandardJob|addDelayedJob|extendLocks?|getCounts|getRateLimitTtl|isMaxed|move\w+|pause|releaseLock|retryJob)-\d+\.js$/;

test('a Redis whose user lacks the right to one command of BullMQ’s scripts, or to scripts, is told as one that refuses', async (t) => {
  const redis = await openOwnRedis(t, { maxMemory: '64mb' });
  const queues = openQueues({ url: redis.url, logsUrl: redis.url }, createRecordingLogger().log);
  t.teardown(() => queues.close());
  const files = (await readdir(SCRIPTS)).filter((name) => USED.test(name));
  const sources = await Promise.all(files.map((name) => readFile(join(SCRIPTS, name), 'utf8')));
  const commands = new Set(
    sources.flatMap((source) => [...source.matchAll(/rcall\("([A-Z]+)"/g)].map(([, name]) => name)),
  );
  t.true(commands.size > 30);
  for (const command of [...commands, 'LPUSH', 'RPUSH', 'EVAL', 'EVALSHA']) {
    await redis.client.call('ACL', 'SETUSER', 'default', `-${command}`);
    const error = await queues.ping().catch((refusal: unknown) => refusal);
    t.is(refusalOfRedis(error)?.problem, NO_RIGHTS, command);
    t.deepEqual(await queues.problems(), [{ isSerious: true, problem: `it ${NO_RIGHTS}` }]);
    await redis.client.call('ACL', 'SETUSER', 'default', `+${command}`);
  }
  await t.notThrowsAsync(queues.ping());
  t.deepEqual(await redis.client.keys('*'), [], 'it leaves nothing');
});

test('a missing right is known by the wording of every version', (t) => {
  const missing = "The user executing the script can't run this command or subcommand";
  for (const message of [
    "NOPERM ACL failure in script: User default has no permissions to run the 'xadd' command",
    `ERR ${missing} script: 1f2e, on @user_script:9.`,
    `ERR Error running script (call to f_1f2e): @user_script:9: @user_script: 9: ${missing}`,
    missing,
  ]) {
    const error = Object.assign(new Error(message), { name: 'ReplyError' });
    t.is(refusalOfRedis(error)?.problem, NO_RIGHTS, message);
  }
});
