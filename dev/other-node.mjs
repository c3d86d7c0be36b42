// Fetches another Node than the machine's, once, from the npm packages that carry its binaries: dev/bootstrap.mjs runs
// programs under it. Versions and digests are in other-nodes.json, and in no other place.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * The folder of a `node` of this major version, fetched if it is not there yet. `refuse` throws; it is called with what is
 * wrong, and with an exit code for wrong usage.
 */
export function otherNode(root, major, refuse) {
  const all = JSON.parse(readFileSync(join(root, 'dev', 'other-nodes.json'), 'utf8'));
  const majors = Object.keys(all).join(' or ');
  if (all[major] === undefined)
    return refuse(`usage: npm run test:node -- ${majors} [FILE ...]`, 64);
  const platform = `${process.platform}-${process.arch}`;
  const pinned = all[major][platform];
  if (pinned === undefined) return refuse(`No Node ${major} is listed for ${platform}.`);
  const name = `node-${platform}@${pinned.version}`;
  const cache = join(root, '.local', 'node');
  const folder = join(cache, name);
  if (!existsSync(folder)) fetch(name, pinned.integrity, cache, folder, refuse);
  return join(folder, 'bin');
}

/** The environment in which `node` is the one of that folder, for programs that start programs, too. */
export const environmentWith = (folder) => ({
  ...process.env,
  PATH: `${folder}${delimiter}${process.env.PATH ?? ''}`,
  // npm's own Node, which npm would put in front again.
  npm_node_execpath: join(folder, 'node'),
});

function fetch(name, integrity, cache, folder, refuse) {
  console.error(`Fetching ${name} (once) ...`);
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, '.fetch-'));
  try {
    const file = run('npm', ['pack', '--silent', '--pack-destination', work, name], refuse).trim();
    const archive = join(work, file);
    const digest = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`;
    if (digest !== integrity) refuse(`${name} has another digest than other-nodes.json says.`);
    run('tar', ['-xzf', archive, '-C', work], refuse);
    // Whole, or not there at all.
    renameSync(join(work, 'package'), folder);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function run(command, args, refuse) {
  const { status, error, stdout } = spawnSync(command, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (error !== undefined || status !== 0)
    refuse(`${command} failed${error === undefined ? '; see above' : `: ${error.message}`}.`);
  return stdout;
}
