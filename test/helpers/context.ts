import { randomBytes } from 'node:crypto';
import { basename, join } from 'node:path';
import test, { registerCompletionHandler } from 'ava';
import { Redis } from 'ioredis';
import pg from 'pg';
import { releaseAll, type Release } from '../../dev/stack/releases.js';
import { eventually } from './eventually.js';
import { refuseSecretsInDatabase, refuseSecretsInRedis } from './left-behind.js';
import { TEMPLATE_DATABASE, testStack, type TestStack } from './stack.js';

/** Something that ends, and takes with it what was opened for it: a test file's context, or one test (`t`). */
export interface Scope {
  /** Runs when the scope ends, last registered first; a rejection fails the scope. */
  teardown(release: Release): void;
}

/** What one test file has to itself. */
export interface TestContext extends Scope {
  readonly stack: TestStack;
  /** Random word that names everything of this file: fit for a database, a host name, a stream. */
  readonly id: string;
  /** A migrated, empty database. */
  readonly databaseUrl: string;
  /** A Redis database number that nobody else uses. Known once the file's `before` hooks run. */
  readonly redisUrl: string;
  /** Mails of this file go to addresses at this domain, so that the shared mailbox can be told apart. */
  readonly mailDomain: string;
  /** The delivery stream of this file. */
  readonly streamName: string;
  /** Where the processes of this file spool their log lines; goes with the run. */
  readonly spoolDir: string;
  /** An address at the file's domain that no test has had yet. */
  uniqueAddress(localPart?: string): string;
  /** Asks the file's database directly. */
  rows<R extends object = Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
  ): Promise<R[]>;
}

/** Redis is told to have 1,024 databases; number 0 keeps the counter. */
const REDIS_DATABASES = 1_023;
/** Long enough for a machine that is busy with other files. */
const EXIT_WITHIN_MS = 60_000;

/**
 * Gives the test file a database, a Redis database, a mail domain and a stream of its own, and takes them back when it
 * is done. A leak fails the file: a connection to either database that is still open then, a token or a key that is
 * left in one of them, and anything that would keep the process alive.
 */
export function useContext(): TestContext {
  const stack = testStack();
  const id = `t${randomBytes(6).toString('hex')}`;
  const databaseUrl = Object.assign(new URL(stack.postgresUrl), { pathname: `/${id}` }).href;
  const releases: Release[] = [];
  let redisUrl: string | undefined;
  let pool: pg.Pool | undefined;
  let addresses = 0;

  test.serial.before('open the context', async () => {
    await createDatabase(stack, id);
    releases.push(() => dropDatabase(stack, id));
    redisUrl = await claimRedisDatabase(stack);
    releases.push(() => leaveRedisDatabase(redisUrl ?? ''));
    releases.push(() => refuseSecretsInRedis(redisUrl ?? ''));
    pool = new pg.Pool({
      connectionString: databaseUrl,
      max: 4,
      application_name: 'test',
      // Before one of the role or the database, with which some tests try the product.
      statement_timeout: EXIT_WITHIN_MS,
    });
    releases.push(() => pool?.end());
    releases.push(() => pool && refuseSecretsInDatabase(pool));
  });
  test.serial.after.always('close the context', () => releaseAll(releases));
  registerCompletionHandler(failIfAlive);

  return {
    stack,
    id,
    databaseUrl,
    get redisUrl() {
      if (redisUrl === undefined) throw new Error('redisUrl is known only once the hooks have run');
      return redisUrl;
    },
    mailDomain: `${id}.test`,
    streamName: id,
    spoolDir: join(stack.dataDir, 'spools', id),
    uniqueAddress: (localPart = 'person') => `${localPart}-${++addresses}@${id}.test`,
    async rows<R extends object>(sql: string, values: readonly unknown[] = []) {
      if (!pool) throw new Error('the database is open only once the hooks have run');
      return (await pool.query(sql, [...values])).rows as R[];
    },
    teardown: (release) => void releases.push(release),
  };
}

let shared: TestContext | undefined;

/**
 * The context of the process, for all its files that ask for it. In a whole run the files that give one name here share a
 * process, its databases and, if they start them with the same environment, an API and a worker
 * (dev/checks/test-groups.ts). They keep to admins and addresses of their own, where clients are limited also to clients' IP
 * addresses of their own, and neither count nor empty what is everybody's.
 */
export function useSharedContext(_with: 'api' | 'system' | 'limits'): TestContext {
  return (shared ??= useContext());
}

/**
 * Says that this file may share its process in a whole run (dev/checks/test-groups.ts): it leaves nothing behind in it, its
 * hooks are for its own context, and it runs a server there only during a serial test, since the models of a process belong
 * to one database.
 */
export function shareProcess(): void {
  registerCompletionHandler(failIfAlive);
}

/** Fails the file when its process outlives its tests; says what keeps it alive. */
function failIfAlive(): void {
  const alarm = setTimeout(() => {
    const kept = process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap');
    process.stderr.write(
      `Leak: the tests of ${basename(test.meta.file)} are over, but these keep the process alive: ${kept.join(', ')}\n`,
    );
    process.exit(1);
  }, EXIT_WITHIN_MS);
  alarm.unref();
}

async function createDatabase(stack: TestStack, name: string): Promise<void> {
  await asAdministrator(stack, (client) =>
    client.query(`create database ${name} with template ${TEMPLATE_DATABASE}`),
  );
}

async function dropDatabase(stack: TestStack, name: string): Promise<void> {
  await asAdministrator(stack, async (client) => {
    const openConnections = async (): Promise<string[]> => {
      const { rows } = await client.query<{ who: string }>(
        `select format('%s: %s', application_name, query) as who from pg_stat_activity where datname = $1`,
        [name],
      );
      return rows.map(({ who }) => who);
    };
    try {
      await eventually(async () => (await openConnections()).length === 0, {
        withinMs: EXIT_WITHIN_MS,
      });
    } catch {
      throw new Error(
        `Leak: connections to PostgreSQL are still open: ${(await openConnections()).join(', ')}`,
      );
    } finally {
      await client.query(`drop database ${name} with (force)`);
    }
  });
}

async function asAdministrator(
  stack: TestStack,
  work: (client: pg.Client) => Promise<unknown>,
): Promise<void> {
  const client = new pg.Client({
    connectionString: stack.postgresUrl,
    application_name: 'test-administrator',
  });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

async function claimRedisDatabase(stack: TestStack): Promise<string> {
  const redis = new Redis(stack.redisUrl, { db: 0 });
  try {
    const number = (await redis.incr('test:last-database')) % REDIS_DATABASES || REDIS_DATABASES;
    await redis.select(number);
    await redis.flushdb();
    return Object.assign(new URL(stack.redisUrl), { pathname: `/${number}` }).href;
  } finally {
    redis.disconnect();
  }
}

async function leaveRedisDatabase(url: string): Promise<void> {
  const redis = new Redis(url);
  try {
    const others = async (): Promise<string[]> => {
      const own = await redis.client('ID');
      const all = String(await redis.client('LIST'))
        .trim()
        .split('\n');
      const here = all.filter((line) => line.includes(` db=${new URL(url).pathname.slice(1)} `));
      return here.filter((line) => !line.startsWith(`id=${own} `));
    };
    try {
      await eventually(async () => (await others()).length === 0, { withinMs: EXIT_WITHIN_MS });
    } catch {
      throw new Error(`Leak: connections to Redis are still open: ${(await others()).join('; ')}`);
    }
  } finally {
    await redis.flushdb();
    redis.disconnect();
  }
}
