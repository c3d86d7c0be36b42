import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, chown, cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { readDevEnv } from '../../env.js';
import { findLiveProcess, stopOrphan } from '../processes/pid-file.js';
import { findPostgresPrograms, type PostgresPrograms } from './programs.js';

const run = promisify(execFile);

/** A PostgreSQL data directory, and what is needed to start a server on it. */
export interface Cluster {
  readonly folder: string;
  readonly programs: PostgresPrograms;
  /** The user that the server must run as; undefined: the current one. */
  readonly owner: Owner | undefined;
  readonly user: string;
  readonly password: string;
  /** Removes the lock file of a killed server if it would keep the next one from starting. */
  removeStaleLock(): Promise<void>;
}

interface Owner {
  readonly uid: number;
  readonly gid: number;
}

interface ClusterOptions {
  readonly dataDir: string;
  readonly pidFile: string;
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

const superuser = 'rollcall';
const publicHome = '/var/lib/rollcall';

/**
 * Creates the cluster on the first run, and reuses it later.
 * PostgreSQL refuses to run as root: then the server runs as the system user `postgres`, which is created if it is
 * missing. Where that user cannot reach the project or its data folder (below /root, for example), copies under
 * /var/lib/rollcall are used.
 */
export async function prepareCluster(options: ClusterOptions): Promise<Cluster> {
  await stopOrphan(options.pidFile);
  const owner = userInfo().uid === 0 ? await findOrCreateOwner() : undefined;
  const programs = await reachablePrograms(await findPostgresPrograms(), owner);
  const folder = await reachableFolder(options, owner);
  await createClusterOnce(folder, programs, owner, options);
  await refuseOtherVersion(folder, programs);
  return {
    folder,
    programs,
    owner,
    user: superuser,
    password: (await readFile(passwordFileOf(folder), 'utf8')).trim(),
    removeStaleLock: () => removeStaleLock(folder, options.pidFile),
  };
}

async function findOrCreateOwner(): Promise<Owner> {
  const found = await readOwner();
  if (found !== undefined) return found;
  try {
    await run('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      '--shell',
      '/usr/sbin/nologin',
      'postgres',
    ]);
  } catch (error) {
    throw new Error(
      'PostgreSQL refuses to run as root, and the user `postgres` could not be created. ' +
        'Start as another user, or set DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/DATABASE',
      { cause: error },
    );
  }
  const created = await readOwner();
  if (created === undefined)
    throw new Error('the user `postgres` was created, but cannot be found');
  return created;
}

async function readOwner(): Promise<Owner | undefined> {
  try {
    const [uid, gid] = await Promise.all([
      run('id', ['-u', 'postgres']),
      run('id', ['-g', 'postgres']),
    ]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

async function reachablePrograms(
  programs: PostgresPrograms,
  owner: Owner | undefined,
): Promise<PostgresPrograms> {
  if (owner === undefined || canRun(programs.postgres, ['--version'], owner)) return programs;
  const native = dirname(dirname(programs.postgres));
  const manifest = await readFile(join(dirname(native), 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const copy = join(publicHome, `postgresql-${version}`);
  const copied: PostgresPrograms = {
    postgres: join(copy, 'bin', 'postgres'),
    initdb: join(copy, 'bin', 'initdb'),
  };
  if (!canRun(copied.postgres, ['--version'], owner)) {
    const draft = `${copy}.${process.pid}`;
    await mkdir(publicHome, { recursive: true, mode: 0o755 });
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    await rm(copy, { recursive: true, force: true });
    await rename(draft, copy);
  }
  return copied;
}

async function reachableFolder(options: ClusterOptions, owner: Owner | undefined): Promise<string> {
  const preferred = join(options.dataDir, 'postgres');
  if (owner === undefined || (await canEnter(options.dataDir, owner))) return preferred;
  const id = createHash('sha256').update(options.dataDir).digest('hex').slice(0, 12);
  const home = join(publicHome, id);
  const pointer = join(options.dataDir, 'postgres.location');
  // Without the pointer the data folder is new: data of an earlier one with the same path is stale.
  if (!(await exists(pointer))) await rm(home, { recursive: true, force: true });
  await mkdir(home, { recursive: true, mode: 0o755 });
  await writeFile(pointer, `${home}\n`);
  options.onProgress?.(
    `PostgreSQL runs as the user postgres, which cannot enter ${options.dataDir}: its data is in ${home}`,
  );
  return join(home, 'postgres');
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** True if the user can enter the folder, whose own permissions are widened if need be; those above it are left alone. */
async function canEnter(folder: string, owner: Owner): Promise<boolean> {
  const enter = () => canRun('/bin/sh', ['-c', `cd "$0"`, folder], owner);
  if (enter()) return true;
  const { mode } = await stat(folder);
  await chmod(folder, (mode & 0o777) | 0o011);
  return enter();
}

function canRun(command: string, args: string[], owner: Owner): boolean {
  return spawnSync(command, args, { ...owner, cwd: '/', stdio: 'ignore' }).status === 0;
}

async function createClusterOnce(
  folder: string,
  programs: PostgresPrograms,
  owner: Owner | undefined,
  options: ClusterOptions,
): Promise<void> {
  if (await isCluster(folder)) return;
  options.onProgress?.('Creating a PostgreSQL cluster (once) ...');
  // Created under another name and renamed when complete: an interrupted first start leaves no partial cluster.
  const draft = `${folder}.new`;
  const passwordFile = passwordFileOf(folder);
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { mode: 0o700 });
  await writeFile(passwordFile, `${randomBytes(18).toString('base64url')}\n`, { mode: 0o600 });
  if (owner !== undefined) {
    await chown(draft, owner.uid, owner.gid);
    await chown(passwordFile, owner.uid, owner.gid);
  }
  await run(
    programs.initdb,
    [
      `--pgdata=${draft}`,
      `--username=${superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      // A password as random as this needs no stretching, and each connection would pay for it.
      '--set=scram_iterations=1',
      '--encoding=UTF8',
      // PostgreSQL's built-in collation gives the same order on every system, whatever locales it has.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--no-instructions',
    ],
    {
      ...owner,
      cwd: '/',
      env: { ...readDevEnv().inherited, LC_ALL: 'C' },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
  await rename(draft, folder);
}

function passwordFileOf(folder: string): string {
  return `${folder}.password`;
}

async function isCluster(folder: string): Promise<boolean> {
  return (await versionOfCluster(folder)) !== undefined;
}

async function versionOfCluster(folder: string): Promise<string | undefined> {
  return readFile(join(folder, 'PG_VERSION'), 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

async function refuseOtherVersion(folder: string, programs: PostgresPrograms): Promise<void> {
  const { stdout } = await run(programs.postgres, ['--version']);
  const serverVersion = /(\d+)/.exec(stdout)?.[1];
  const clusterVersion = await versionOfCluster(folder);
  if (serverVersion === clusterVersion) return;
  throw new Error(
    `The data in ${folder} was created by PostgreSQL ${clusterVersion}, but version ${serverVersion} is installed. ` +
      'Remove that folder to start afresh, or set DEV_DATA_DIR to another one.',
  );
}

/**
 * A killed server leaves its lock file. PostgreSQL notices that the pid in it is dead; but if the pid has been reused by
 * another process since, it would refuse to start for ever.
 */
async function removeStaleLock(folder: string, pidFile: string): Promise<void> {
  const lockFile = join(folder, 'postmaster.pid');
  const pid = Number((await readFile(lockFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!Number.isInteger(pid) || pid <= 0) return;
  if ((await findLiveProcess(pidFile))?.pid === pid) return;
  if (isAlive(pid) && !(await isPostgresOn(pid, folder))) await rm(lockFile, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function isPostgresOn(pid: number, folder: string): Promise<boolean> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8')
    .catch(async () => (await run('ps', ['-o', 'command=', '-p', String(pid)])).stdout)
    .catch(() => '');
  return commandLine.includes(folder);
}
