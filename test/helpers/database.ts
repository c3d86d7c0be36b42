import { openDatabase, type Database, type DatabaseConfig } from '../../shared/database/connect.js';
import type { Scope } from './context.js';

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
    // Even when all stands still for a while; who tests its absence waits for less.
    timeoutMs: 30_000,
    ssl: false,
  };
}

/** Opens the product's own pool, with the models bound to it; it closes with the scope. */
export function openTestDatabase(
  scope: Scope,
  url: string,
  config: Partial<DatabaseConfig> = {},
): Database {
  const database = openDatabase({ ...databaseConfig(url), ...config }, 'test');
  scope.teardown(() => database.close());
  return database;
}
