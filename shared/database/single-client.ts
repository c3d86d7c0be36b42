import type { loadToolConfig } from '../config/config.js';
import { SessionClient } from './session-client.js';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * A client for programs that change the schema or its roles: one connection, which the caller opens and ends. It may wait ten
 * seconds to be opened; its statements have no time-out of their own.
 */
export function createSingleClient(
  { host, port, name, user, password, ssl }: ReturnType<typeof loadToolConfig>['database'],
  applicationName: string,
): SessionClient {
  const client = new SessionClient({
    host,
    port,
    database: name,
    user,
    password,
    ssl,
    application_name: applicationName,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  // A lost connection is reported by the statement that fails; an unhandled 'error' event would end the process.
  client.on('error', () => undefined);
  return client;
}
