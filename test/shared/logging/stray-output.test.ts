import test from 'ava';
import { startProgram } from '../../helpers/processes.js';

const PROGRAM = 'dist/test/shared/logging/programs/print-strays.js';

test('what libraries and Node print becomes lines of the log, and nothing goes to stderr', async (t) => {
  const program = startProgram(PROGRAM, {}, t);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.is(program.stderr(), '');
  t.deepEqual(
    program.logLines().map((line) => [line['log.level'], line['message'], line['error.message']]),
    [
      ['info', 'a library printed a line', 'one two'],
      ['debug', 'a library printed a line', '{ three: 3 }'],
      ['warn', 'a library printed a line', 'several\nlines'],
      ['error', 'a library printed a line', program.logLines()[3]?.['error.message']],
      ['warn', 'a warning of the runtime', 'five'],
    ],
  );
  t.regex(String(program.logLines()[3]?.['error.message']), /^Error: four\n/);
  t.is(program.logLines()[4]?.['error.code'], 'DEP9999');
});
