import test from 'ava';
import { shareProcess, useContext } from '../helpers/context.js';
import { runCli, runCliJson } from '../cli/run-cli.js';
import { insertMessage } from '../workers/fixture.js';

shareProcess();

const context = useContext();

test('`processes` tells which worker is delivering mails, and which one has taken the longest', async (t) => {
  const ids: string[] = [];
  const insertDelivery = async (
    worker: string,
    startedMinutesAgo: number,
    { isClaimed = true, attempt = 1 } = {},
  ): Promise<void> => {
    const id = await insertMessage(context, null, 'send-confirmation-mail', { v: 1 });
    ids.push(id);
    await context.rows(
      `update outbox set attempts = 1, claimed_until = now() + $2 * interval '1 minute' where id = $1`,
      [id, isClaimed ? 1 : -1],
    );
    await context.rows(
      `insert into deliveries (outbox_id, attempt, worker, started_at) values ($1, $2, $3, now() - $4 * interval '1 minute')`,
      [id, attempt, worker, startedMinutesAgo],
    );
  };
  t.deepEqual((await runCliJson(context, ['processes'])).json['deliveries'], []);
  await insertDelivery('host:1', 1);
  await insertDelivery('host:2', 3);
  await insertDelivery('host:2', 5);
  await insertDelivery('killed:3', 60, { isClaimed: false });
  await insertDelivery('killed:4', 60, { attempt: 0 });

  const { json } = await runCliJson(context, ['processes']);
  t.like(json['deliveries'], [
    { worker: 'host:2', count: 2, oldest_outbox_id: ids[2] },
    { worker: 'host:1', count: 1, oldest_outbox_id: ids[0] },
  ]);
  const { stdout } = await runCli(context, ['processes']);
  t.true(stdout.includes(`host:2 delivers 2 mails, the oldest for 5 min: ${ids[2]}\n`));
  t.false(stdout.includes('killed'));
});
