import { randomInt } from 'node:crypto';
import { listenForStop, readOptions } from '../command-line.js';
import { runMutation } from './run.js';
import { SUMMARY_FILE } from './summary.js';
import { targets } from './targets.js';

// `npm run mutation`: mutation testing. Stryker has no runner for ava, and cannot activate a mutant in the processes that
// our tests start; here the compiled file itself is changed, in a copy of the project.

const USAGE = `npm run mutation -- [--seconds N] [--max N] [--seed N] [--folder NAME] [--tests NAMES]

  --seconds N    no mutant is started after this time; 900. Measuring coverage, once per build, comes on top
  --max N        how many mutants are tested; no limit
  --seed N       continues the sample of an earlier run; without it, a new seed is chosen and printed
  --folder NAME  mutants of this folder only: ${Object.keys(targets).join(', ')}
  --tests NAMES  only test files whose names begin like this, comma-separated, for a quicker look; all that concern the folders

Writes ${SUMMARY_FILE}, which \`npm run docs\` shows in docs/security.md. Exit code 0 if the run was completed.
`;

process.exitCode = await main();

async function main(): Promise<number> {
  const given = readOptions(USAGE, {
    options: {
      seconds: { type: 'string', default: '900' },
      max: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      folder: { type: 'string' },
      tests: { type: 'string', default: '' },
      help: { type: 'boolean', default: false },
    },
  });
  if (!given) return 64;
  const { folder, help } = given.values;
  const plan = {
    seconds: Number(given.values.seconds),
    max: Number(given.values.max),
    seed: Number(given.values.seed),
    folders: folder === undefined ? Object.keys(targets) : [folder],
    testPrefixes: given.values.tests.split(','),
  };
  const isValid = plan.seconds > 0 && plan.max > 0 && Number.isInteger(plan.seed);
  if (help || !isValid || (folder !== undefined && !(folder in targets))) {
    process.stdout.write(USAGE);
    return help ? 0 : 64;
  }
  const stop = listenForStop();
  try {
    await runMutation(plan, stop);
    return 0;
  } catch (error) {
    if (!stop.aborted) throw error;
    process.stdout.write('stopped; the same seed continues from here\n');
    return 130;
  }
}
