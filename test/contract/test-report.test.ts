import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import { readAva, readErrors } from '../../dev/checks/ava-output.js';
import { runTests } from '../../dev/checks/run-tests.js';
import { summarize } from '../../dev/checks/tally.js';
import { planTestRun } from '../../dev/checks/test-groups.js';
import { findMutants, mutated } from '../../dev/mutation/mutants.js';
import { projectRoot } from '../../dev/paths.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

/** Test files that fail in each way that ava knows. */
const FILES = {
  passes: `test('one', (t) => t.pass()); test('a \u203A b', (t) => t.pass());`,
  fails: `test('sums', (t) => t.is(1 + 1, 3)); test('sums up', (t) => t.deepEqual({ a: 1 }, { a: 2 }));`,
  hook: `test.after('tidy', () => { throw new Error('a leak'); }); test('one', (t) => t.pass());`,
  killed: `test('one', (t) => t.pass()); test.after.always(() => process.kill(process.pid, 'SIGKILL'));`,
  ends: `test('one', (t) => t.pass()); process.on('exit', () => { process.exitCode = 3; });`,
  throws: `test('one', (t) => t.pass()); test.after(() => new Promise((resolve) => {
    setTimeout(() => { setTimeout(resolve, 1_000); throw new Error('too late'); });
  }));`,
  rejects: `test('one', (t) => { Promise.reject(new Error('nobody waits')); t.pass(); });`,
  hangs: `test('for ever', () => new Promise(() => setInterval(() => undefined, 1_000)));`,
};

test('everything that fails a run is named in its summary, with what explains it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-report-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await symlink(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  await mkdir(join(folder, 'test'));
  for (const [name, code] of Object.entries(FILES))
    await writeFile(join(folder, `test/${name}.test.js`), `import test from 'ava';\n${code}\n`);

  const ava = ['node_modules/ava/entrypoints/cli.mjs', '--no-worker-threads', '--timeout=15s'];
  const child = spawn(process.execPath, ava, {
    cwd: folder,
    env: { ...process.env, NODE_ENV: 'test' },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const printed: string[] = [];
  const { passed, failed, failures } = await readAva(child.stdout, (line) => printed.push(line));
  t.is(passed, 7);
  t.is(failed, 8);
  const explanationOf = (name: RegExp): string =>
    failures.find(([first = '']) => name.test(first))?.join('\n') ?? '';
  t.regex(
    explanationOf(/^fails \u203A sums$/mu),
    /fails\.test\.js:2[^]*Difference[^]*- 2\n\s*\+ 3/,
  );
  t.regex(explanationOf(/^fails \u203A sums up/u), /fails\.test\.js:2[^]*a: 1[^]*a: 2/);
  t.regex(explanationOf(/^hook \u203A tidy/u), /a leak/);
  t.regex(explanationOf(/killed\.test\.js exited due to SIGKILL/), /./);
  t.regex(explanationOf(/ends\.test\.js exited with a non-zero exit code: 3/), /./);
  t.regex(explanationOf(/Uncaught exception in .*throws\.test\.js/), /too late/);
  t.regex(explanationOf(/Unhandled rejection in .*rejects\.test\.js/), /nobody waits/);
  t.regex(explanationOf(/Timed out/), /./);
  t.regex(explanationOf(/pending in .*hangs\.test\.js/), /for ever/);
  t.true(printed.includes('passes'));
});

test('a whole run has each test file once, in a group or alone', async (t) => {
  const { groups, alone } = await planTestRun();
  const planned = [...alone, ...[...groups.values()].flat()];
  const files = await readdir(join(projectRoot, 'test'), { recursive: true });
  const expected = files.filter((file) => file.endsWith('.test.ts')).map((file) => `test/${file}`);
  t.deepEqual(planned.toSorted(), expected.toSorted());
  const kindsOf = (file: string): string[] =>
    [...groups].filter(([, members]) => members.includes(file)).map(([group]) => basename(group));
  t.regex(kindsOf('test/flows/register-again.test.ts').join(), /^system-\d\.test\.js$/);
  t.regex(kindsOf('test/flows/users.test.ts').join(), /^api-\d\.test\.js$/);
  t.regex(kindsOf('test/workers/sweep.test.ts').join(), /^stores-\d\.test\.js$/);
  t.regex(kindsOf('test/shared/small-parsers.test.ts').join(), /^parts-\d\.test\.js$/);
  t.true(alone.includes('test/crash/kill.test.ts'), 'a process is its subject');
});

test('a file that does not exist or holds no tests fails the run, also beside others that do', async (t) => {
  for (const [file, fault] of [
    ['test/contract/none.test.ts', 'there is no test/contract/none.test.ts'],
    ['test/helpers/samples.ts', 'not a test file: test/helpers/samples.ts'],
  ] as const) {
    const files = ['test/contract/node-versions.test.ts', file];
    const signal = AbortSignal.timeout(60_000);
    const run = await runTests({ files, signal, after: Promise.resolve() });
    t.deepEqual([run.passed, run.failed], [0, 1]);
    t.true(run.failures.flat().join().includes(fault));
  }
});

test('what processes print on stderr is shown once, and the reason why one ended stands out', async (t) => {
  const leak = 'Leak: the tests of a.test.js are over, but these keep the process alive: Timeout';
  const noise = Array.from({ length: 100 }, (_, i) => `line ${i}`);
  const { last, failures } = await readErrors(
    Readable.from([['same', leak, ...noise, 'same', 'same', ''].join('\n')]),
  );
  t.deepEqual(failures, [leak]);
  t.is(last.length, 20);
  t.deepEqual(last.slice(-2), ['line 99', 'same']);
});

test('a summary names every failure before it explains any, and is short', (t) => {
  t.deepEqual(summarize([]), []);
  const many = Array.from({ length: 50 }, (_, i) => [`test ${i}`, 'because', 'x'.repeat(1_000)]);
  const lines = summarize(many, 40);
  t.deepEqual([lines.length, lines[0], lines[40]], [41, 'FAIL  test 0', 'FAIL  and 10 more']);
  const few = summarize(many.slice(0, 2), 40);
  t.deepEqual(
    few.map((line) => line.slice(0, 13)),
    [
      'FAIL  test 0',
      '      because',
      '      xxxxxxx',
      'FAIL  test 1',
      '      because',
      '      xxxxxxx',
    ],
  );
  t.true(few.every((line) => line.length <= 200));
});

const changesOf = async (source: string): Promise<string[]> =>
  (await findMutants('x.js', source)).map((mutant) => mutated(source, mutant));

test('each mutant is the file with one change, in the right place', async (t) => {
  t.deepEqual(await changesOf(`const é = '€';\nif (a === 1) throw b;`), [
    `const é = '€';\nif (true) throw b;`,
    `const é = '€';\nif (false) throw b;`,
    `const é = '€';\nif (a !== 1) throw b;`,
    `const é = '€';\nif (a === 1) ;`,
  ]);
});

test('operators, negations, results and statements are changed', async (t) => {
  for (const [source, ...changes] of [
    ['const x = (a) < b;', 'const x = (a) <= b;', 'const x = (a) >= b;'],
    ['const x = a ?? b;', 'const x = a && b;'],
    ['const x = !a;', 'const x = a;'],
    ['const x = true;', 'const x = false;'],
    ['const f = () => a;', 'const f = () => undefined;'],
    ['const f = () => { return a; };', 'const f = () => { return undefined; };'],
    ['await save();', ';'],
    ['import { a } from "b";'],
  ] as const)
    t.deepEqual(await changesOf(source), [...changes], source);
});

test('a mutant keeps its name while its file stays the same', async (t) => {
  const [one] = await findMutants('x.js', 'save();');
  const [same] = await findMutants('x.js', 'save();');
  const [other] = await findMutants('x.js', 'save(); ');
  t.is(one?.id, same?.id);
  t.not(one?.id, other?.id);
});
