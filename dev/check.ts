import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runTests } from './checks/run-tests.js';
import { add, report, type Tally } from './checks/tally.js';
import { runTool } from './checks/tool.js';
import { listenForStop } from './command-line.js';
import { readDevEnv } from './env.js';
import { projectRoot, sourceFolders } from './paths.js';

// `npm test` and `npm run check`: everything that continuous integration checks, each check and each test counted.
// With file names (`npm test -- test/contract/images.test.ts`) only those tests.

/** A tool that finds fault with the tree, or not. */
interface Check {
  readonly name: string;
  /** What is true if it passes. */
  readonly claim: string;
  /** Programs of node_modules/.bin, or by their whole path, with their arguments. */
  readonly commands: readonly (readonly string[])[];
  /** The output must match it: some tools are content when they have read nothing. */
  readonly proof?: RegExp;
}

const checks: readonly Check[] = [
  {
    name: 'format',
    claim: 'every file is in the one form',
    commands: [['oxfmt', '--check', '.']],
    proof: / on [1-9]\d+ files/,
  },
  { name: 'types', claim: 'everything compiles under the strict settings', commands: [['tsc']] },
  {
    name: 'lint',
    claim: 'no rule is broken, no promise left alone',
    commands: [['oxlint']],
    proof: / on [1-9]\d+ files/,
  },
  {
    name: 'boundaries',
    claim: 'each folder imports only what it may',
    commands: [['depcruise', ...sourceFolders]],
    proof: /no dependency violations found \([1-9]\d* modules/,
  },
  { name: 'dead code', claim: 'no file, export or package is unused', commands: [['knip']] },
  {
    name: 'secrets',
    claim: 'no file holds a key, a token or a password',
    commands: [[process.execPath, 'dist/dev/scripts/scan-secrets.js']],
    proof: /^0 secrets found in [1-9]\d+ files$/m,
  },
  {
    name: 'containers',
    claim: 'the images and the stack are well described',
    commands: [
      ['dockerfilelint', 'Dockerfile.api', 'Dockerfile.worker', 'Dockerfile.firehose'],
      ['dclint', '--max-warnings', '0', 'docker-compose.yml'],
      ...dockerCompose('config', '--quiet'),
    ],
  },
];

// docker-compose.yml demands them; nothing is started.
const composeSecrets = { POSTGRES_PASSWORD: 'x', SECRET_KEY: 'x', PASSWORD_PEPPER: 'x' };

const files = process.argv.slice(2);
const stop = listenForStop();

const tally = await checkAll();
process.stdout.write(`${tally.passed} passed, ${tally.failed} failed\n`);
process.exitCode = tally.failed > 0 || tally.passed === 0 ? 1 : 0;

async function checkAll(): Promise<Tally> {
  const found = files.length === 0 ? await Promise.all(checks.map(run)) : [];
  // The tests want the machine to themselves.
  return [...found, await runTests({ files, signal: stop })].reduce(add);
}

async function run({ name, claim, commands, proof }: Check): Promise<Tally> {
  const startedAt = performance.now();
  let output = '';
  for (const [tool = '', ...args] of commands) {
    const program = resolve(projectRoot, 'node_modules/.bin', tool);
    const result = await runTool([program, ...args], {
      signal: stop,
      env: composeSecrets,
    });
    output += result.output;
    if (!result.succeeded) return report({ name, startedAt, fault: output });
  }
  if (proof !== undefined && !proof.test(output)) return report({ name, startedAt, fault: output });
  return report({ name, startedAt, claim });
}

/** A second opinion, on machines that have docker-compose. */
function dockerCompose(...args: string[]): string[][] {
  const candidates = readDevEnv().searchPath.map((folder) => join(folder, 'docker-compose'));
  const program = candidates.find((candidate) => existsSync(candidate));
  return program === undefined ? [] : [[program, ...args]];
}
