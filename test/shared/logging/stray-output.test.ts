import test from 'ava';
import { startProgram } from '../../helpers/processes.js';

const PROGRAM = 'dist/test/shared/logging/programs/print-strays.js';

test('what libraries and Node print is logged, and nothing is written to stderr', async (t) => {
  const program = startProgram(PROGRAM, {}, t);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.is(program.stderr(), '');
  t.deepEqual(
    program.logLines().map((line) => [line['log.level'], line['message'], line['error.message']]),
    [
      ['info', 'console output captured', 'one two'],
      ['debug', 'console output captured', '{ three: 3 }'],
      ['warn', 'console output captured', 'several\nlines'],
      ['error', 'console output captured', program.logLines()[3]?.['error.message']],
      ['warn', 'Node.js warning', 'five'],
    ],
  );
  t.regex(String(program.logLines()[3]?.['error.message']), /^Error: four\n/);
  t.is(program.logLines()[4]?.['error.code'], 'DEP9999');
});
