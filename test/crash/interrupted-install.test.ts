import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import { projectRoot } from '../../dev/paths.js';
import { shareProcess, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';

shareProcess();

/** Stands in for an npm that takes long to remove what it has installed: it ends by no signal that it can handle. */
const slowNpm = `#!${process.execPath}
if (process.argv[2] !== 'ci') process.exit(0);
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => {});
require('node:fs').writeFileSync('npm.pid', String(process.pid));
setInterval(() => {}, 1000);
`;
const manyPackages = JSON.stringify({ packages: { 'node_modules/x': { version: '1.0.0' } } });
const noPackages = JSON.stringify({ packages: {} });

test('a second stop ends an installation at once, and the next start installs afresh', async (t) => {
  const folder = await makeProject(t);
  const lockFile = join(folder, 'package-lock.json');
  const complete = start(t, folder);
  t.is(await complete.ended, 0, complete.stderr());
  t.is(complete.stderr(), '');

  await writeFile(lockFile, manyPackages);
  const interrupted = start(t, folder);
  const npm = await untilNpmRuns(folder);
  t.teardown(() => void (isAlive(npm) && process.kill(npm, 'SIGKILL')));
  interrupted.send('SIGINT');
  await eventually(() => /^Stopping: npm removes .+ Ctrl-C again/m.test(interrupted.stderr()));
  t.true(isAlive(npm));
  interrupted.send('SIGTERM');
  await eventually(() => !isAlive(npm), { of: 'the end of npm' });
  t.is(await interrupted.ended, 128 + 15);

  // The packages that were complete before have perhaps been removed.
  await writeFile(lockFile, noPackages);
  await rm(join(folder, 'npm.pid'));
  const repaired = start(t, folder);
  await untilNpmRuns(folder);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) repaired.send(signal);
  await repaired.ended;
});

/** A project with a program that ends at once, in which everything is installed. */
async function makeProject(scope: Scope): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-install-'));
  scope.teardown(() => rm(folder, { recursive: true, force: true }));
  const files = {
    'dev/bootstrap.mjs': await readFile(join(projectRoot, 'dev', 'bootstrap.mjs')),
    'dev/scripts/light.ts': '',
    'dist/dev/scripts/light.js': '',
    'package-lock.json': noPackages,
    'node_modules/.package-lock.json': noPackages,
    'bin/npm': slowNpm,
  };
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  await chmod(join(folder, 'bin', 'npm'), 0o755);
  return folder;
}

function start(scope: Scope, folder: string) {
  const child = spawn(process.execPath, ['dev/bootstrap.mjs', 'light'], {
    cwd: folder,
    env: { PATH: join(folder, 'bin') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  scope.teardown(() => void child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return {
    ended: once(child, 'close').then(([code]) => code as number | null),
    send: (signal: NodeJS.Signals) => void child.kill(signal),
    stderr: () => stderr,
  };
}

const untilNpmRuns = (folder: string): Promise<number> =>
  eventually(
    async () =>
      Number(await readFile(join(folder, 'npm.pid'), 'utf8').catch(() => '')) || undefined,
    { of: 'npm' },
  );

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
