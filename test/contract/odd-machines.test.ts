import { mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { readDevEnv } from '../../dev/env.js';
import { DataDirError, prepareDataDir } from '../../dev/paths.js';
import { startProcess, waitUntilReady } from '../../dev/stack/processes/child-process.js';
import { claimPort } from '../../dev/stack/processes/ports.js';
import { loadSecrets } from '../../dev/stack/secrets.js';
import { shareProcess, type Scope } from '../helpers/context.js';
import { startProgram } from '../helpers/processes.js';

shareProcess();

test('variables of libpq reach neither this process nor those that it starts', (t) => {
  const variables = { PGSSLMODE: 'require', PGOPTIONS: '-c foo=1' };
  Object.assign(process.env, variables);
  const { inherited } = readDevEnv();
  for (const name of Object.keys(variables)) {
    t.false(name in process.env, name);
    t.false(name in inherited, name);
  }
  t.true('PATH' in inherited);
});

test('a server that is not ready in time says what the last attempt met', async (t) => {
  const folder = await makeFolder(t);
  const running = await startProcess({
    name: 'server',
    script: '--eval',
    args: ['setInterval(() => {}, 1000)'],
    env: {},
    logFile: join(folder, 'server.log'),
  });
  t.teardown(() => running.stop());
  const refuse = () => Promise.reject(new Error('no pg_hba.conf entry for this host'));
  await t.throwsAsync(waitUntilReady(running, refuse, { timeoutMs: 0 }), {
    message: 'server was not ready after 0 ms (no pg_hba.conf entry for this host)',
  });
});

for (const [where, makeParent] of [
  ['below a file', makeFile],
  ['in /proc, where no folder can be made,', () => Promise.resolve('/proc')],
] as const) {
  test(`a data folder ${where} is named in one sentence, with the variable that names it`, async (t) => {
    const dataDir = join(await makeParent(t), 'data');
    const env = { PATH: readDevEnv().searchPath.join(':'), DEV_DATA_DIR: dataDir };
    const [dev, seed] = ['dev', 'seed'].map((name) =>
      startProgram(`dist/dev/scripts/${name}.js`, env, t),
    );
    for (const program of [dev, seed]) {
      t.is((await program?.waitForExit())?.code, 1);
      const said = `${program?.stdout()}${program?.stderr()}`.trim();
      t.true(said.includes(`The data folder ${dataDir} cannot be used: E`), said);
      t.regex(said, / Set DEV_DATA_DIR to .+$/);
      t.is(said.split('\n').length, 1, said);
    }
    await t.throwsAsync(prepareDataDir(dataDir), { instanceOf: DataDirError });
  });
}

test('secrets that cannot be read are not replaced', async (t) => {
  const dataDir = await makeFolder(t);
  await symlink('secrets.json', join(dataDir, 'secrets.json'));
  await t.throwsAsync(loadSecrets(dataDir), { code: 'ELOOP' });
});

test('a folder for temporary files that does not exist is not made, and TMPDIR is named', async (t) => {
  const folder = await makeFolder(t);
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = join(folder, 'missing');
  const claim = claimPort(0);
  if (before === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = before;
  await t.throwsAsync(claim, {
    message: /temporary files \S+missing cannot be used: ENOENT.* Set TMPDIR/,
  });
  t.deepEqual(await readdir(folder), []);
});

async function makeFolder(scope: Scope): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-odd-'));
  scope.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function makeFile(scope: Scope): Promise<string> {
  const path = join(await makeFolder(scope), 'file');
  await writeFile(path, '');
  return path;
}
