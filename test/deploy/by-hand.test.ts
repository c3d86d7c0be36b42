import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { projectRoot } from '../../dev/paths.js';
import { shareProcess } from '../helpers/context.js';

shareProcess();

const run = promisify(execFile);
const page = readFileSync(join(projectRoot, 'docs/deploy.md'), 'utf8');

/** In place of AWS: each description is the next line of the file `answers`, and what changes something is printed. */
const aws = `
sleep() { :; }
aws() {
  case "$2" in
    describe-*)
      line=$(head -n 1 answers)
      tail -n +2 answers >rest
      mv rest answers
      echo "$line" ;;
    *) echo "$*" ;;
  esac
}
SHA=new BUCKET=bucket
`;

/** A function of the page's commands. */
function functionNamed(name: string): string {
  const [found] = new RegExp(`^${name}\\(\\) \\{\\n[^]*?^\\}$`, 'm').exec(page) ?? [];
  if (found === undefined) throw new Error(`docs/deploy.md has no function ${name}`);
  return found;
}

/** Runs commands with functions of the page. */
async function commands(
  t: ExecutionContext,
  command: string,
  answers: readonly string[],
): Promise<{ readonly succeeded: boolean; readonly output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-by-hand-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'answers'), answers.map((line) => `${line}\n`).join(''));
  const functions = ['upload', 'ready', 'deploy'].map(functionNamed).join('\n');
  const script = `${aws}${functions}\nif ${command}; then echo SUCCEEDED; fi`;
  const { stdout } = await run('bash', ['-c', script], { cwd: folder });
  return { succeeded: stdout.endsWith('SUCCEEDED\n'), output: stdout };
}

const times = (count: number, line: string): string[] => Array.from({ length: count }, () => line);
const both = 'deploy worker new-worker && deploy web new-web';

test('a deployment is waited for, longer than the CLI waits, and then the next begins', async (t) => {
  const { succeeded, output } = await commands(t, both, [
    ...times(60, 'Updating\tYellow\told-worker'),
    'Ready\tGreen\tnew-worker',
    'Updating\tGreen\told-web',
    'Ready\tYellow\tnew-web',
  ]);
  t.true(succeeded, output);
  t.regex(output, /rollcall-production-web --version-label new-web/);
});

for (const [what, answers] of [
  ['that was rolled back', ['Ready\tGreen\told-worker']],
  ['that is red', ['Ready\tRed\tnew-worker']],
  ['that does not end', times(200, 'Updating\tGreen\tnew-worker')],
  ['of which nothing is known', []],
] as const)
  test(`after a deployment ${what} the next does not begin`, async (t) => {
    const { succeeded, output } = await commands(t, both, answers);
    t.false(succeeded);
    t.regex(output, /--version-label new-worker/);
    t.notRegex(output, /--version-label new-web/);
  });

test('a version is processed before it is used', async (t) => {
  const processed = await commands(t, 'upload web', ['UNPROCESSED', 'PROCESSING', 'PROCESSED']);
  t.true(processed.succeeded);
  const failed = await commands(t, 'upload web', ['PROCESSING', 'FAILED', 'PROCESSED']);
  t.false(failed.succeeded);
});

test('no command of the page waits by the waiters of Elastic Beanstalk', (t) => {
  t.notRegex(page, /aws elasticbeanstalk wait/);
});
