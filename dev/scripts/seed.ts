import { loadApiConfig, loadOrExit, type ApiConfig } from '../../shared/config/config.js';
import { readDevEnv, type DevEnv } from '../env.js';
import { DataDirError, inDataDir, prepareDataDir } from '../paths.js';
import { loadSecrets, saveSecrets, type LocalSecrets } from '../stack/secrets.js';
import { openSeeder } from '../stack/seeder.js';
import { serviceEnvironment } from '../stack/service-environment.js';
import { readStackFile } from '../stack/stack-file.js';

// `npm run seed`: creates an operator, an example admin and its users, in the running `npm run dev` or, if the environment
// names a database, there.

process.exitCode = await main();

async function main(): Promise<number> {
  const env = readDevEnv();
  if (env.nodeEnv === 'production') {
    console.error(
      'Example data does not belong in production: NODE_ENV is production, nothing was done.',
    );
    return 1;
  }
  const secrets = await openSecrets(env.dataDir);
  if (secrets === undefined) return 1;
  const config = await findTarget(env, secrets);
  if (config === undefined) {
    console.error(
      'There is no database to seed. Start `npm run dev` first, or set DATABASE_URL, REDIS_URL, SECRET_KEY and ' +
        'PASSWORD_PEPPER to those of a running deployment, and NODE_ENV=development.',
    );
    return 1;
  }
  const seeder = await openSeeder(config);
  try {
    const operator = await seeder.ensureAdmin({ ...secrets.operator, name: 'Rollcall operator' });
    const exampleAdmin = await seeder.ensureAdmin({
      ...secrets.exampleAdmin,
      name: 'Ada Lovelace',
    });
    await saveSecrets(env.dataDir, { ...secrets, operator, exampleAdmin });
    const added = await seeder.ensureExampleUsers(exampleAdmin);
    const isOperator = config.operatorEmails.includes(operator.email);
    console.log(`Operator       ${operator.email}  ${operator.password}`);
    if (!isOperator)
      console.log(`               (once OPERATOR_EMAILS contains ${operator.email})`);
    console.log(`Example admin  ${exampleAdmin.email}  ${exampleAdmin.password}`);
    console.log(added === 0 ? 'Its users existed already.' : `Its users      ${added} added`);
    return 0;
  } finally {
    await seeder.close();
  }
}

/** `undefined`, after saying why, if the data folder cannot be used. */
async function openSecrets(dataDir: string): Promise<LocalSecrets | undefined> {
  try {
    await prepareDataDir(dataDir);
    return await inDataDir(dataDir, () => loadSecrets(dataDir));
  } catch (error) {
    if (!(error instanceof DataDirError)) throw error;
    console.error(error.message);
    return undefined;
  }
}

/** The configuration of the running `npm run dev`, unless the environment names a database. */
async function findTarget(env: DevEnv, secrets: LocalSecrets): Promise<ApiConfig | undefined> {
  const isNamed = env.databaseUrl !== undefined || env.inherited['POSTGRES_HOST'] !== undefined;
  if (isNamed)
    return loadOrExit(() => loadApiConfig({ NODE_ENV: 'development', ...env.inherited }));
  const stack = await readStackFile(env.dataDir);
  return stack && loadApiConfig(serviceEnvironment(env, secrets, stack));
}
