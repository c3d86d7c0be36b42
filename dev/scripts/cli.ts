import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { EXIT_CONFIG } from '../../shared/config/config.js';
import { readDevEnv } from '../env.js';
import { prepareDataDir, projectRoot } from '../paths.js';
import { loadSecrets } from '../stack/secrets.js';
import { serviceEnvironment } from '../stack/service-environment.js';
import { readStackFile } from '../stack/stack-file.js';

// `npm run cli`: the operators' command line, for the running `npm run dev` unless the environment names a database.

const env = readDevEnv();
const isNamed = env.databaseUrl !== undefined || env.inherited['POSTGRES_HOST'] !== undefined;
const stack = isNamed ? undefined : await readStackFile(env.dataDir);
let environment: Readonly<Record<string, string>> = env.inherited;
if (stack) {
  await prepareDataDir(env.dataDir);
  environment = {
    ...env.inherited,
    ...serviceEnvironment(env, await loadSecrets(env.dataDir), stack),
  };
}
const script = resolve(projectRoot, 'dist/cli/main.js');
const args = process.argv.slice(2);
const { status } = spawnSync(process.execPath, [script, ...args], {
  env: environment,
  stdio: 'inherit',
});
// doctor reports the configuration among its problems.
const lacksServers = status === EXIT_CONFIG || (status === 1 && args.includes('doctor'));
if (lacksServers && !isNamed && !stack)
  console.error(
    '`npm run dev` is not running here, and the environment names no database. Start it first.',
  );
process.exitCode = status ?? 1;
