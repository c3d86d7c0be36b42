import pg from 'pg';
import { loadToolConfig, loadOrExit } from '../shared/config/config.js';
import { migrateDown, migrateUp, migrationStatus } from './migrate.js';

const EXIT_USAGE = 64;
const USAGE = `usage: node dist/migrations/run.js [up | down [--yes] | status]

  up       applies every pending migration (the default)
  down     takes back the newest one, with all data that it made room for; in production only with --yes
  status   tells which are applied; changes nothing
`;

const [command = 'up', ...options] = process.argv.slice(2);
const isConfirmed = options.length === 1 && options[0] === '--yes' && command === 'down';
if (!['up', 'down', 'status'].includes(command) || (options.length > 0 && !isConfirmed))
  refuse(USAGE);

const { database, isProduction } = loadOrExit(() => loadToolConfig());
if (command === 'down' && isProduction && !isConfirmed) {
  refuse(
    'down takes back the newest migration and deletes all data that it made room for.\n' +
      'This is production: if that is what you want, say `down --yes`.\n',
  );
}

const client = new pg.Client({
  host: database.host,
  port: database.port,
  database: database.name,
  user: database.user,
  password: database.password,
  ssl: database.ssl,
  application_name: 'rollcall-migrations',
  connectionTimeoutMillis: 10_000,
});

try {
  await client.connect();
  for (const line of await run()) process.stdout.write(`${line}\n`);
} catch (error) {
  process.stderr.write(`${describe(error)}\n`);
  process.exitCode = 1;
} finally {
  await client.end();
}

async function run(): Promise<string[]> {
  switch (command) {
    case 'down': {
      const name = await migrateDown(client);
      return [name ? `took back ${name}` : 'nothing to take back'];
    }
    case 'status': {
      const all = await migrationStatus(client);
      return all.map(
        ({ name, appliedAt }) => `${name}  ${appliedAt ? appliedAt.toISOString() : 'pending'}`,
      );
    }
    default: {
      const names = await migrateUp(client);
      return names.length > 0 ? names.map((name) => `applied ${name}`) : ['nothing to apply'];
    }
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${describe(error.cause)}`;
}

function refuse(why: string): never {
  process.stderr.write(why);
  process.exit(EXIT_USAGE);
}
