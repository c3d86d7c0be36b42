import test from 'ava';
import { readMailFlow } from '../../api/ops/mail/mail-flow.service.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { insertMessage, openFixture } from '../workers/fixture.js';

shareProcess();

const context = useContext();

test('how long the oldest mail waits for its first attempt is told', async (t) => {
  const { database } = await openFixture(t, context);
  const waits = async (): Promise<number | null> =>
    (await readMailFlow({ database })).oldest_untried_seconds;
  const ago = (minutes: number): string => `now() - interval '${minutes} minutes'`;
  t.is(await waits(), null);
  await insertMessage(context, null, 'x', {}, { availableAt: ago(-5), createdAt: ago(9) });
  await insertMessage(context, null, 'x', {}, { state: 'enqueued', enqueuedAt: ago(8) });
  await context.rows(`update outbox set attempts = 1 where state = 'enqueued'`);
  t.is(await waits(), null, 'neither due later, nor tried');
  await insertMessage(context, null, 'x', {}, { state: 'enqueued', enqueuedAt: ago(2) });
  t.true(between(await waits(), 120, 180));
  await insertMessage(context, null, 'x', {}, { availableAt: ago(4) });
  t.true(between(await waits(), 240, 300), 'or for the relay');
});

const between = (value: number | null, from: number, to: number): boolean =>
  value !== null && value >= from && value < to;
