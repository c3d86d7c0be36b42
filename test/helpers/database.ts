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

/** Opens the product's own pool, with the models bound to it; it closes with the scope. */
export function openTestDatabase(
  scope: Scope,
  url: string,
  config: Partial<DatabaseConfig> = {},
): Database {
  const whole = { ...databaseConfig(url), ...config };
  const share = shareModels(whole, 'a test');
  const database = openDatabase(whole, 'test');
  share.opened(database);
  scope.teardown(() => {
    share.leave();
    return database.close();
  });
  return database;
}
