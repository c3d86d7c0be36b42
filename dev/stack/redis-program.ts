import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readDevEnv } from '../env.js';
import { projectRoot } from '../paths.js';

const run = promisify(execFile);

/** A Redis server program that runs here, with the environment that it needs to find its libraries. */
export interface RedisProgram {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

/** What the search may tell its caller while it goes on. */
export interface SearchOptions {
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const programNames = ['redis-server', 'valkey-server'];
const unpackDir = join(projectRoot, '.local', 'redis-server');
const oldestVersion = [6, 2] as const;

/**
 * Finds `redis-server` or `valkey-server`, the first that works: on PATH, unpacked earlier under `.local/`,
 * installed by apt as root, downloaded by apt and unpacked under `.local/`. Rejects with the commands that would help.
 */
export async function findRedisServer(options: SearchOptions = {}): Promise<RedisProgram> {
  const faults: string[] = [];
  const sources = [
    () => findOnPath(faults),
    () => findUnpacked(),
    () => installWithApt(options, faults),
    () => downloadWithApt(options, faults),
  ];
  for (const source of sources) {
    options.signal?.throwIfAborted();
    const program = await source();
    if (program !== undefined) return program;
  }
  throw new Error(adviceFor(faults));
}

function adviceFor(faults: readonly string[]): string {
  return [
    'Redis is needed, and there is no redis-server or valkey-server on PATH. Any one of these helps:',
    '  Debian, Ubuntu   sudo apt-get install -y redis-server',
    '  macOS            brew install redis',
    '  Docker           docker run -d -p 6379:6379 redis:7 redis-server --appendonly yes --maxmemory-policy noeviction',
    '                   and then start with REDIS_URL=redis://127.0.0.1:6379/0',
    ...faults.map((fault) => `(${fault})`),
  ].join('\n');
}

async function findOnPath(faults: string[]): Promise<RedisProgram | undefined> {
  // Root's PATH may lack the folders that Debian's own packages use.
  const folders = [...readDevEnv().searchPath, '/usr/bin', '/usr/sbin', '/usr/local/bin'];
  for (const name of programNames) {
    for (const folder of new Set(folders)) {
      const program = { path: join(folder, name), env: {} };
      if (!(await isExecutable(program.path))) continue;
      const fault = await faultOf(program);
      if (fault === undefined) return program;
      faults.push(fault);
    }
  }
  return undefined;
}

async function findUnpacked(): Promise<RedisProgram | undefined> {
  const path = join(unpackDir, 'usr', 'bin', 'redis-server');
  if (!(await isExecutable(path))) return undefined;
  const libraries = join(unpackDir, 'usr', 'lib');
  const perArchitecture = (await readdir(libraries).catch(() => []))
    .filter((folder) => folder.includes('-linux-'))
    .map((folder) => join(libraries, folder));
  const program = { path, env: { LD_LIBRARY_PATH: [...perArchitecture, libraries].join(':') } };
  return (await faultOf(program)) === undefined ? program : undefined;
}

async function installWithApt(
  options: SearchOptions,
  faults: string[],
): Promise<RedisProgram | undefined> {
  if (userInfo().uid !== 0 || !(await hasApt())) return undefined;
  options.onProgress?.('Installing redis-server with apt-get (once) ...');
  const install = () =>
    withoutServiceStart(() =>
      aptGet(['install', '-y', '--no-install-recommends', 'redis-server'], options),
    );
  try {
    if (!(await hasPackageLists())) await aptGet(['update'], options);
    // Lists may be older than the archive: then the first try fails on a file that is gone.
    await install().catch(async () => {
      await aptGet(['update'], options);
      await install();
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    faults.push(`apt-get install failed: ${lastLineOf(error)}`);
    return undefined;
  }
  return findOnPath(faults);
}

/** Unpacks the server and exactly those packages that it needs and that the system lacks. Needs no root. */
async function downloadWithApt(
  options: SearchOptions,
  faults: string[],
): Promise<RedisProgram | undefined> {
  if (!(await hasApt())) return undefined;
  options.onProgress?.('Downloading redis-server with apt-get into .local/ (once) ...');
  const staging = `${unpackDir}.${process.pid}`;
  const apt = join(staging, 'apt');
  const debs = join(staging, 'debs');
  try {
    for (const folder of ['lists/partial', 'cache/archives/partial']) {
      await mkdir(join(apt, folder), { recursive: true });
    }
    await mkdir(debs);
    // Without root the system's lists cannot be brought up to date: then ours are.
    const ownLists = [`Dir::State::Lists=${apt}/lists`, `Dir::Cache=${apt}/cache`];
    await downloadPackages(debs, [], options).catch(async () => {
      const settings = ownLists.flatMap((setting) => ['-o', setting]);
      await aptGet([...settings, 'update'], options);
      await downloadPackages(debs, settings, options);
    });
    for (const deb of await readdir(debs)) await run('dpkg-deb', ['-x', join(debs, deb), staging]);
    await rm(apt, { recursive: true });
    await rm(debs, { recursive: true });
    await rm(unpackDir, { recursive: true, force: true });
    await rename(staging, unpackDir);
  } catch (error) {
    options.signal?.throwIfAborted();
    faults.push(`apt-get download failed: ${lastLineOf(error)}`);
    return undefined;
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return findUnpacked();
}

async function downloadPackages(
  folder: string,
  settings: readonly string[],
  options: SearchOptions,
): Promise<void> {
  const simulation = ['install', '-s', '--no-install-recommends', 'redis-server'];
  const plan = await aptGet([...settings, ...simulation], options);
  const missing = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  const packages = new Set(['redis-server', 'redis-tools', ...missing]);
  await aptGet([...settings, 'download', ...packages], { ...options, cwd: folder });
}

async function aptGet(args: string[], options: SearchOptions & { cwd?: string }): Promise<string> {
  const { stdout } = await run('apt-get', ['-q', '-o', 'DPkg::Lock::Timeout=120', ...args], {
    env: { ...readDevEnv().inherited, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
    maxBuffer: 16 * 1024 * 1024,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.signal === undefined
      ? {}
      : { signal: options.signal, killSignal: 'SIGTERM' as const }),
  });
  return stdout;
}

/**
 * Debian starts a packaged server when it is installed, and on every boot. The stack brings up its own, so the
 * first is forbidden the way Debian provides for (policy-rc.d, exit code 101), and the second switched off.
 */
async function withoutServiceStart(install: () => Promise<unknown>): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  const isOurs = !(await exists(policy));
  if (isOurs) await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await install();
  } finally {
    if (isOurs) await rm(policy, { force: true });
  }
  if (await exists('/run/systemd/system')) {
    await run('systemctl', ['disable', '--now', 'redis-server.service']);
  }
}

/** Undefined if the program runs and is new enough for the queues, else what is wrong with it. */
async function faultOf(program: RedisProgram): Promise<string | undefined> {
  try {
    const { stdout } = await run(program.path, ['--version'], {
      env: { ...readDevEnv().inherited, ...program.env },
    });
    const [, major = '0', minor = '0'] = /v=(\d+)\.(\d+)/.exec(stdout) ?? [];
    const isNewEnough =
      Number(major) > oldestVersion[0] ||
      (Number(major) === oldestVersion[0] && Number(minor) >= oldestVersion[1]);
    if (isNewEnough) return undefined;
    return `${program.path} is ${major}.${minor}; ${oldestVersion.join('.')} or newer is needed`;
  } catch (error) {
    return `${program.path} does not run: ${lastLineOf(error)}`;
  }
}

async function hasApt(): Promise<boolean> {
  return (await exists('/usr/bin/apt-get')) && (await exists('/usr/bin/dpkg-deb'));
}

async function hasPackageLists(): Promise<boolean> {
  const files = await readdir('/var/lib/apt/lists').catch(() => []);
  return files.some((file) => file.includes('_Packages'));
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function lastLineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n').at(-1) ?? text;
}
