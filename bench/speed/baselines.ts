import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../dev/paths.js';

const folder = join(projectRoot, 'bench/baselines');

/** Installs what only the baselines need, if it is not there yet. Their other packages are those of the product. */
export async function installBaselines(signal: AbortSignal): Promise<void> {
  if (await isInstalled()) return;
  process.stderr.write('Installing the packages of the baselines (once) ...\n');
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const child = spawn('npm', args, { cwd: folder, stdio: ['ignore', 2, 2], signal });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`npm ci failed in ${folder}`);
}

/** npm writes the hidden lockfile last. */
async function isInstalled(): Promise<boolean> {
  const [wanted, installed] = await Promise.all(
    ['package-lock.json', 'node_modules/.package-lock.json'].map(modifiedAt),
  );
  return installed !== undefined && wanted !== undefined && installed >= wanted;
}

async function modifiedAt(file: string): Promise<number | undefined> {
  return stat(join(folder, file)).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}
