import { loadToolConfig, loadOrExit } from '../shared/config/config.js';
import { createSingleClient } from '../shared/database/single-client.js';
import { messageWithCauses } from '../shared/errors/message-of.js';
import { migrateDown, migrateUp, migrationStatus } from './migrate.js';

const EXIT_USAGE = 64;
const USAGE = `usage: node dist/migrations/run.js [up | down | status]

  up       applies every pending migration (the default)
  down     reverts the newest one and deletes all data in what it added: not for production
  status   lists which are applied; changes nothing
`;

// A reader that closes its end, such as `head`, changes nothing about the outcome.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

const [command = 'up', ...rest] = process.argv.slice(2);
if (!['up', 'down', 'status'].includes(command) || rest.length > 0) {
  process.stderr.write(USAGE);
  process.exit(EXIT_USAGE);
}

const { database } = loadOrExit(() => loadToolConfig());
const client = createSingleClient(database, 'rollcall-migrations');

void main();

async function main(): Promise<void> {
  try {
    await client.connect();
    for (const line of await run()) process.stdout.write(`${line}\n`);
  } catch (error) {
    process.stderr.write(`${messageWithCauses(error)}\n`);
    process.exitCode = 1;
  } finally {
    await client.end();
  }
}

async function run(): Promise<string[]> {
  switch (command) {
    case 'down': {
      const name = await migrateDown(client);
      return [name ? `reverted ${name}` : 'nothing to revert'];
    }
    case 'status': {
      const all = await migrationStatus(client);
      return all.map(
        ({ name, appliedAt, isKnown }) =>
          `${name}  ${appliedAt?.toISOString() ?? 'pending'}${isKnown ? '' : '  applied by another release'}`,
      );
    }
    default: {
      const names = await migrateUp(client);
      return names.length > 0 ? names.map((name) => `applied ${name}`) : ['nothing to apply'];
    }
  }
}
