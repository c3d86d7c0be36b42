import test from 'ava';
import { startProgram } from '../../helpers/processes.js';
import { createFailpoint, failpointNames } from '../../../shared/lifecycle/failpoint.js';

const PROGRAM = 'dist/test/shared/lifecycle/programs/pass-failpoints.js';

test('a process is killed at the armed fail point, not before', async (t) => {
  const program = startProgram(PROGRAM, {}, t, ['after-add']);
  t.deepEqual(await program.waitForExit(), { code: null, signal: 'SIGKILL' });
  t.is(program.stdout(), 'after-commit\n');
});

test('without a fail point nothing happens', (t) => {
  const failpoint = createFailpoint(undefined);
  t.notThrows(() => {
    for (const name of failpointNames) failpoint(name);
  });
});
