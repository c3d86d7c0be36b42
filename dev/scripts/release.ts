import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { listenForStop, readOptions } from '../command-line.js';
import { readDevEnv } from '../env.js';
import { projectRoot } from '../paths.js';
import { cut, notesOf, planCut, type Run } from '../release/release.js';

// `npm run release`: cuts a version. What happens with it then is in CONTRIBUTING.md.

const USAGE = `usage: npm run release -- [--dry-run] | --notes TAG

Cuts the next version: the commits since the last tag decide which, what CHANGELOG.md has under [Unreleased] becomes its
section, and package.json, its lock, the OpenAPI document and the changelog are committed. No tag is made: it belongs to the
commit on the branch staging.

  --dry-run     prints the version, its section and the commits, and changes nothing
  --notes TAG   prints the notes of the release with this tag, which must be the version of package.json`;

process.exitCode = await main(process.argv.slice(2), listenForStop());

async function main(args: string[], signal: AbortSignal): Promise<number> {
  const options = readOptions(USAGE, {
    args,
    options: {
      'dry-run': { type: 'boolean' },
      notes: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (!options) return 64;
  const { values } = options;
  if (values.help === true) {
    console.log(USAGE);
    return 0;
  }
  const env = readDevEnv().inherited;
  const run: Run = async (program, ...rest) =>
    (await promisify(execFile)(program, rest, { cwd: projectRoot, env, signal })).stdout;
  try {
    if (values.notes !== undefined)
      process.stdout.write(await notesOf(projectRoot, run, values.notes));
    else await release(run, values['dry-run'] === true);
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

async function release(run: Run, isDryRun: boolean): Promise<void> {
  const changes = await run('git', 'status', '--porcelain');
  if (!isDryRun && changes !== '')
    throw new Error(`Commit or stash these files before releasing:\n${changes}`);
  const plan = await planCut(projectRoot, run, new Date());
  console.log(`The next version is ${plan.version}.\n\n${plan.commits}\n`);
  console.log('CHANGELOG.md is for people: does it say of each of these what an operator notices?');
  if (isDryRun) {
    console.log('Nothing was changed.');
    return;
  }
  await cut(projectRoot, run, () => run('npm', 'run', 'build'), plan);
  console.log(
    `Committed. Once it is on the branch staging: git tag v${plan.version} there, and push it.`,
  );
}
