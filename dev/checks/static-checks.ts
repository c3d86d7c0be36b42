import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readDevEnv } from '../env.js';
import { projectRoot, sourceFolders } from '../paths.js';
import { add, nothing, report, type Tally } from './tally.js';
import { runTool } from './tool.js';

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

/** Runs every check that starts nothing. */
export async function runStaticChecks(signal: AbortSignal): Promise<Tally> {
  return (await Promise.all(checks.map((check) => run(check, signal)))).reduce(add);
}

/**
 * Checks the form of these files and of whatever has changed since the last commit, and lints them. Types need no look:
 * the build has had one.
 */
export async function checkChangedFiles(
  named: readonly string[],
  signal: AbortSignal,
): Promise<Tally> {
  const changed = await Promise.all(
    [
      ['diff', '--name-only', '--diff-filter=d', 'HEAD'],
      ['ls-files', '--others', '--exclude-standard'],
    ].map((args) => runTool(['git', ...args], { signal })),
  );
  // Without git, as in an archive, only those that are named.
  const listed = changed.flatMap(({ succeeded, output }) => (succeeded ? output.split('\n') : []));
  const files = [...new Set([...named, ...listed])].filter(
    (file) => file !== '' && existsSync(resolve(projectRoot, file)),
  );
  const sources = files.filter((file) => /\.[cm]?[jt]s$/.test(file));
  const unmatched = '--no-error-on-unmatched-pattern';
  const claim = `${files.length} named or changed files`;
  const found = [
    { name: 'format', claim, commands: [['oxfmt', '--check', unmatched, ...files]], files },
    { name: 'lint', claim, commands: [['oxlint', unmatched, ...sources]], files: sources },
  ].filter((check) => check.files.length > 0);
  return (await Promise.all(found.map((check) => run(check, signal)))).reduce(add, nothing);
}

async function run({ name, claim, commands, proof }: Check, signal: AbortSignal): Promise<Tally> {
  const startedAt = performance.now();
  let output = '';
  for (const [tool = '', ...args] of commands) {
    const program = resolve(projectRoot, 'node_modules/.bin', tool);
    const result = await runTool([program, ...args], { signal, env: composeSecrets });
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
