import test, { type ExecutionContext } from 'ava';
import { eventually } from '../../helpers/eventually.js';
import { startProgram, type TestProcess } from '../../helpers/processes.js';

const ALL_RELEASED = ['released third', 'releasing second', 'released second', 'released first'];

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal}: everything is released in reverse order, one after another, and the process ends with 0`, async (t) => {
    const program = await startReady(t, ['']);
    program.send(signal);
    t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
    t.deepEqual(words(program), ['ready', ...ALL_RELEASED]);
    t.deepEqual(logged(program), ['shutdown started']);
  });
}

test('a second signal ends a stop that hangs', async (t) => {
  const program = await startReady(t, ['hang']);
  program.send('SIGTERM');
  await eventually(() => words(program).includes('releasing second'));
  program.send('SIGTERM');
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.false(words(program).includes('released first'));
});

test('past the deadline a stop that hangs is given up, and the log says so', async (t) => {
  const program = await startReady(t, ['hang', '50']);
  program.send('SIGTERM');
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.deepEqual(logged(program), ['shutdown started', 'shutdown deadline exceeded']);
});

test('a release that fails is logged, and the others still get their turn', async (t) => {
  const program = await startReady(t, ['fail']);
  program.send('SIGTERM');
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.true(words(program).includes('released first'));
  t.deepEqual(logged(program), ['shutdown started', 'resource release failed']);
});

for (const [what, scenario] of [
  ['an error that escapes', 'throw'],
  ['a rejection that nobody handles', 'reject'],
] as const) {
  test(`${what} releases everything and ends the process with 1`, async (t) => {
    const program = start(t, [scenario]);
    t.deepEqual(await program.waitForExit(), { code: 1, signal: null });
    t.deepEqual(words(program).slice(-4), ALL_RELEASED);
    t.deepEqual(logged(program), ['uncaught exception', 'shutdown started']);
  });
}

test('a signal that comes while an error is ending the process does not turn its 1 into a 0', async (t) => {
  const program = start(t, ['throw and hang']);
  await eventually(() => words(program).includes('ready'));
  program.send('SIGTERM');
  t.deepEqual(await program.waitForExit(), { code: 1, signal: null });
});

test('isStopping is true from the first release on', async (t) => {
  const program = await startReady(t, ['ask']);
  program.send('SIGTERM');
  await program.waitForExit();
  t.deepEqual(
    words(program).filter((word) => word.startsWith('isStopping')),
    ['isStopping false', 'isStopping true'],
  );
});

test('stopping twice stops once', async (t) => {
  const program = start(t, ['stop twice']);
  t.deepEqual(await program.waitForExit(), { code: 0, signal: null });
  t.deepEqual(words(program), ALL_RELEASED);
  t.deepEqual(logged(program), ['shutdown started']);
});

function start(t: ExecutionContext, args: string[]): TestProcess {
  return startProgram('dist/test/shared/lifecycle/programs/stop-as-told.js', {}, t, args);
}

async function startReady(t: ExecutionContext, args: string[]): Promise<TestProcess> {
  const program = start(t, args);
  await eventually(() => words(program).includes('ready'));
  return program;
}

const words = (program: TestProcess): string[] => program.stdout().split('\n').slice(0, -1);
const logged = (program: TestProcess): string[] => program.stderr().split('\n').slice(0, -1);
