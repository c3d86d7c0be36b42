import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import * as z from 'zod';
import { projectRoot } from '../../dev/paths.js';

const lockfile = z.object({
  packages: z.record(
    z.string(),
    z.object({ optionalDependencies: z.record(z.string(), z.string()).default({}) }),
  ),
});

// npm leaves out what the registry did not have when the file was written, and `npm ci` then refuses it everywhere.
test('package-lock.json names the packages of every platform, not only of the one that wrote it', async (t) => {
  const { packages } = lockfile.parse(
    JSON.parse(await readFile(join(projectRoot, 'package-lock.json'), 'utf8')),
  );
  const wanted = Object.entries(packages).flatMap(([path, { optionalDependencies }]) =>
    Object.keys(optionalDependencies).map((name) => ({ path, name })),
  );
  t.true(wanted.length > 0);
  t.deepEqual(
    wanted.filter(({ path, name }) => !isLocked(packages, path, name)),
    [],
  );
});

/** True if a package for `name` is found from `path` upwards, as Node would look for it. */
function isLocked(packages: Record<string, unknown>, path: string, name: string): boolean {
  if (`${path === '' ? '' : `${path}/`}node_modules/${name}` in packages) return true;
  if (path === '') return false;
  const parent = path.lastIndexOf('/node_modules/');
  return isLocked(packages, parent < 0 ? '' : path.slice(0, parent), name);
}
