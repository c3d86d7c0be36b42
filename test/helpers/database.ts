import { openDatabase, type Database, type DatabaseConfig } from '../../shared/database/connect.js';
import { shareModels } from './bound-models.js';
import type { Scope } from './context.js';
import { SLOW_MACHINE_MS } from './env.js';

/** Where a URL says that PostgreSQL is, as the configuration would say it. */
function databaseConfig(url: string): DatabaseConfig {
  const { hostname, port, pathname, username, password } = new URL(url);
  return {
    host: hostname,
    port: Number(port),
    name: pathname.slice(1),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    poolMax: 5,
    timeoutMs: SLOW_MACHINE_MS,
    ssl: false,
  };
}

/** A pool that tests of one process share, with how many of them do. */
interface SharedPool {
  readonly database: Database;
  readonly close: () => Promise<void>;
  users: number;
}

const sharedPools = new Map<string, SharedPool>();
/** As many as the tests of one process use at once. */
const SHARED_POOL_MAX = 20;

/**
 * The product's own pool, with the models bound to it; it closes with the scope. Tests that ask for nothing special of a
 * database share one pool while it is open: binding the models takes longer than most of them.
 */
export function openTestDatabase(
  scope: Scope,
  url: string,
  config?: Partial<DatabaseConfig>,
): Database {
  if (config) {
    const { database, close } = openPool({ ...databaseConfig(url), ...config });
    scope.teardown(close);
    return database;
  }
  const pool = sharedPools.get(url) ?? {
    ...openPool({ ...databaseConfig(url), poolMax: SHARED_POOL_MAX }),
    users: 0,
  };
  sharedPools.set(url, pool);
  pool.users += 1;
  scope.teardown(async () => {
    pool.users -= 1;
    if (pool.users > 0) return;
    sharedPools.delete(url);
    await pool.close();
  });
  return pool.database;
}

function openPool(config: DatabaseConfig) {
  const share = shareModels(config, 'a test');
  const database = openDatabase(config, 'test');
  share.opened(database);
  const close = (): Promise<void> => {
    share.leave();
    return database.close();
  };
  return { database, close };
}
