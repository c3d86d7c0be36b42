import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readDevEnv } from '../../env.js';

const run = promisify(execFile);

/** An executable, with the environment variables that it needs to find its libraries. */
export interface ServerProgram {
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface SearchOptions {
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A server program to find or install. */
export interface WantedProgram {
  /** Its possible names; the first that works is used. */
  readonly names: readonly string[];
  /** Its Debian package, and packages with programs that belong to it. */
  readonly packageName: string;
  readonly companions: readonly string[];
  /** The folder into which packages are unpacked without root. */
  readonly unpackDir: string;
  /** Undefined if the program is usable, else what is wrong with it. */
  faultOf(program: ServerProgram): Promise<string | undefined>;
  /** The error message if there is none: what the user can do. */
  readonly advice: readonly string[];
}

/**
 * Finds a server program; the first source that works is used: on PATH, unpacked earlier, installed by apt as root,
 * downloaded by apt and unpacked. Rejects with the advice.
 */
export async function findServerProgram(
  wanted: WantedProgram,
  options: SearchOptions = {},
): Promise<ServerProgram> {
  const faults: string[] = [];
  const sources = [
    () => findOnPath(wanted, faults),
    () => findUnpacked(wanted),
    () => installWithApt(wanted, options, faults),
    () => downloadWithApt(wanted, options, faults),
  ];
  for (const source of sources) {
    options.signal?.throwIfAborted();
    const program = await source();
    if (program !== undefined) return program;
  }
  throw new Error([...wanted.advice, ...faults.map((fault) => `(${fault})`)].join('\n'));
}

async function findOnPath(
  { names, faultOf }: WantedProgram,
  faults: string[],
): Promise<ServerProgram | undefined> {
  // Root's PATH may lack the folders that Debian's own packages use.
  const folders = [...readDevEnv().searchPath, '/usr/bin', '/usr/sbin', '/usr/local/bin'];
  for (const name of names) {
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

async function findUnpacked({
  names,
  unpackDir,
  faultOf,
}: WantedProgram): Promise<ServerProgram | undefined> {
  const libraries = join(unpackDir, 'usr', 'lib');
  const perArchitecture = (await readdir(libraries).catch(() => []))
    .filter((folder) => folder.includes('-linux-'))
    .map((folder) => join(libraries, folder));
  const env = { LD_LIBRARY_PATH: [...perArchitecture, libraries].join(':') };
  for (const name of names) {
    for (const folder of ['bin', 'sbin']) {
      const program = { path: join(unpackDir, 'usr', folder, name), env };
      if ((await isExecutable(program.path)) && (await faultOf(program)) === undefined)
        return program;
    }
  }
  return undefined;
}

async function installWithApt(
  wanted: WantedProgram,
  options: SearchOptions,
  faults: string[],
): Promise<ServerProgram | undefined> {
  if (userInfo().uid !== 0 || !(await hasApt())) return undefined;
  const { packageName } = wanted;
  options.onProgress?.(`Installing ${packageName} with apt-get (once) ...`);
  const install = () =>
    withoutServiceStart(packageName, () =>
      aptGet(['install', '-y', '--no-install-recommends', packageName], options),
    );
  try {
    if (!(await hasPackageLists())) await aptGet(['update'], options);
    // Package lists may be out of date: then the first attempt fails on a file that no longer exists.
    await install().catch(async () => {
      await aptGet(['update'], options);
      await install();
    });
  } catch (error) {
    options.signal?.throwIfAborted();
    faults.push(`apt-get install failed: ${lastLineOf(error)}`);
    return undefined;
  }
  return findOnPath(wanted, faults);
}

/** Downloads and unpacks the server and the packages that it needs and the system lacks. Needs no root. */
async function downloadWithApt(
  wanted: WantedProgram,
  options: SearchOptions,
  faults: string[],
): Promise<ServerProgram | undefined> {
  if (!(await hasApt())) return undefined;
  const { packageName, unpackDir } = wanted;
  options.onProgress?.(`Downloading ${packageName} with apt-get into .local/ (once) ...`);
  const staging = `${unpackDir}.${process.pid}`;
  const apt = join(staging, 'apt');
  const debs = join(staging, 'debs');
  try {
    for (const folder of ['lists/partial', 'cache/archives/partial']) {
      await mkdir(join(apt, folder), { recursive: true });
    }
    await mkdir(debs);
    // Without root the system's package lists cannot be updated: lists in our own folder are.
    const ownLists = [`Dir::State::Lists=${apt}/lists`, `Dir::Cache=${apt}/cache`];
    await downloadPackages(wanted, debs, [], options).catch(async () => {
      const settings = ownLists.flatMap((setting) => ['-o', setting]);
      await aptGet([...settings, 'update'], options);
      await downloadPackages(wanted, debs, settings, options);
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
  return findUnpacked(wanted);
}

async function downloadPackages(
  { packageName, companions }: WantedProgram,
  folder: string,
  settings: readonly string[],
  options: SearchOptions,
): Promise<void> {
  const simulation = ['install', '-s', '--no-install-recommends', packageName];
  const plan = await aptGet([...settings, ...simulation], options);
  const missing = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1] ?? '');
  const packages = new Set([packageName, ...companions, ...missing]);
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
 * Debian starts a packaged server at its installation and at every boot. The stack starts its own, so the first is
 * prevented by Debian's means (policy-rc.d, exit code 101), and the service is disabled.
 */
async function withoutServiceStart(
  packageName: string,
  install: () => Promise<unknown>,
): Promise<void> {
  const policy = '/usr/sbin/policy-rc.d';
  const isOurs = !(await exists(policy));
  if (isOurs) await writeFile(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    await install();
  } finally {
    if (isOurs) await rm(policy, { force: true });
  }
  if (await exists('/run/systemd/system')) {
    await run('systemctl', ['disable', '--now', `${packageName}.service`]);
  }
}

/** The program's output for `--version`. @throws if it does not run. */
export async function versionOf({ path, env }: ServerProgram): Promise<string> {
  const { stdout } = await run(path, ['--version'], { env: { ...readDevEnv().inherited, ...env } });
  return stdout;
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

/** The last line of an error's message. */
export function lastLineOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n').at(-1) ?? text;
}
