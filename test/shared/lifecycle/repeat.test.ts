import { once } from 'node:events';
import test from 'ava';
import { startRepeating } from '../../../shared/lifecycle/repeat.js';
import { eventually } from '../../helpers/eventually.js';
import { startProgram } from '../../helpers/processes.js';

const HOUR_MS = 3_600_000;

test('turns follow one another; a stop waits for the one under way and lets no other begin', async (t) => {
  let turns = 0;
  let hasEnded = false;
  const repeating = startRepeating(async (signal) => {
    turns += 1;
    if (turns < 3) return 1;
    await once(signal, 'abort');
    hasEnded = true;
    return 1;
  }, 1);
  await eventually(() => turns === 3);
  await repeating.stop();
  t.true(hasEnded);
  await repeating.stop();
  t.is(turns, 3);
});

test('without a first pause the first turn begins at once; stopped before it, none does', async (t) => {
  let turns = 0;
  const turn = async (): Promise<number> => {
    turns += 1;
    return HOUR_MS;
  };
  const atOnce = startRepeating(turn, 0);
  t.is(turns, 1);
  await atOnce.stop();
  await startRepeating(turn, HOUR_MS).stop();
  t.is(turns, 1);
});

test('a pause that is not to be waited for does not keep the process', async (t) => {
  const program = startProgram('dist/test/shared/lifecycle/programs/repeat-unref.js', {}, t);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.is(program.stdout(), 'a turn\n');
});
