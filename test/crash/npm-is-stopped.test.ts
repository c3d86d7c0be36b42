import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import test from 'ava';
import * as z from 'zod';
import { readDevEnv } from '../../dev/env.js';
import { projectRoot } from '../../dev/paths.js';
import { findLiveProcess, writePidFile } from '../../dev/stack/processes/pid-file.js';
import { eventually } from '../helpers/eventually.js';

const Manifest = z.object({ scripts: z.record(z.string(), z.string()) });
const Pids = z.object({ bootstrap: z.number(), program: z.number(), server: z.number() });

/** Which process is sent what: an editor's stop button, a supervisor, a closed terminal, the kernel short of memory. */
const cases = [
  ['npm', 'SIGTERM'],
  ['npm', 'SIGHUP'],
  ['npm', 'SIGKILL'],
  ['bootstrap', 'SIGTERM'],
  ['bootstrap', 'SIGKILL'],
  ['everything in the terminal', 'SIGINT'],
] as const;

for (const [target, signal] of cases) {
  test(`${signal} to ${target} stops what npm has started, once and in order`, async (t) => {
    const folder = await makeProject();
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const npm = spawn('npm', ['run', 'light'], {
      cwd: folder,
      env: { ...readDevEnv().inherited, npm_config_update_notifier: 'false' },
      stdio: 'ignore',
      detached: true,
    });
    const npmPid = npm.pid ?? 0;
    const ended = once(npm, 'exit');
    const pids = await eventually(() => readPids(folder), { of: 'the program', withinMs: 60_000 });
    const all = [npmPid, ...Object.values(pids)];
    for (const pid of all) await writePidFile(pidFile(folder, pid), pid);
    t.teardown(async () => {
      for (const pid of await alive(folder, all)) process.kill(pid, 'SIGKILL');
    });

    const pid = target === 'npm' ? npmPid : target === 'bootstrap' ? pids.bootstrap : -npmPid;
    process.kill(pid, signal);
    await ended;
    await eventually(async () => (await alive(folder, all)).length === 0, { of: 'the end of all' });
    t.is(await readFile(join(folder, 'ends'), 'utf8'), 'server stopped\n');
  });
}

test('npm starts every program in its own place, with no shell between them', async (t) => {
  const scripts = Object.values(await readScripts()).filter((line) => line.includes('bootstrap'));
  t.true(scripts.length > 5);
  for (const script of scripts)
    t.regex(script, /^exec node dev\/bootstrap\.mjs (?:--node )?[a-z-]+$/);
});

/** A project with one light program, started as `npm run dev` starts the stack: a server of its own, stopped in order. */
async function makeProject(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'rollcall-npm-'));
  const { dev = '' } = await readScripts();
  const program = `
    import { appendFile, rename, writeFile } from 'node:fs/promises';
    import { listenForStop } from '${compiled('command-line.js')}';
    import { startCommand } from '${compiled('stack/processes/child-process.js')}';
    const stop = listenForStop();
    const server = await startCommand({
      name: 'server', command: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'],
      env: {}, logFile: 'server.log', pidFile: 'server.json',
    });
    const pids = { bootstrap: process.ppid, program: process.pid, server: server.pid };
    await writeFile('pids.new', JSON.stringify(pids));
    await rename('pids.new', 'pids');
    const timer = setInterval(() => {}, 1000);
    stop.addEventListener('abort', async () => {
      await server.stop();
      await appendFile('ends', 'server stopped\\n');
      clearInterval(timer);
    });`;
  await Promise.all(
    ['dev/scripts', 'dist/dev/scripts', 'node_modules'].map((name) => makeFolder(folder, name)),
  );
  const files = {
    'package.json': {
      type: 'module',
      scripts: { light: dev.replace(/dev$/, 'light'), build: 'exit 0' },
    },
    'package-lock.json': { packages: {} },
    'node_modules/.package-lock.json': { packages: {} },
    'dev/scripts/light.ts': program,
    'dist/dev/scripts/light.js': program,
  };
  await Promise.all([
    cp(join(projectRoot, 'dev/bootstrap.mjs'), join(folder, 'dev/bootstrap.mjs')),
    ...Object.entries(files).map(([name, content]) =>
      writeFile(
        join(folder, name),
        typeof content === 'string' ? content : JSON.stringify(content),
      ),
    ),
  ]);
  return folder;
}

const makeFolder = (...path: string[]) => mkdir(join(...path), { recursive: true });

const compiled = (path: string): string => pathToFileURL(join(projectRoot, 'dist/dev', path)).href;

async function readScripts(): Promise<Readonly<Record<string, string>>> {
  const text = await readFile(join(projectRoot, 'package.json'), 'utf8');
  return Manifest.parse(JSON.parse(text)).scripts;
}

async function readPids(folder: string): Promise<z.infer<typeof Pids> | undefined> {
  const text = await readFile(join(folder, 'pids'), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Pids.parse(JSON.parse(text));
}

const pidFile = (folder: string, pid: number): string => join(folder, `${pid}.json`);

/** Those that still run; one that has ended and that nobody has waited for does not. */
async function alive(folder: string, pids: readonly number[]): Promise<number[]> {
  const found = await Promise.all(pids.map((pid) => findLiveProcess(pidFile(folder, pid))));
  return found.flatMap((record) => (record ? [record.pid] : []));
}
