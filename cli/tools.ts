import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { createAudit, type Audit, type Cause } from '../shared/audit/audit.js';
import { loadToolConfig } from '../shared/config/config.js';
import { openDatabase, type Database } from '../shared/database/connect.js';
import { AppError } from '../shared/errors/app-error.js';
import { readTypedAddress, type EmailAddress } from '../shared/identity/email-address.js';
import { createLogger } from '../shared/logging/logger.js';
import { UsageError, type Arguments } from './command.js';

/** The resources of a command that needs the database. */
export interface Tools {
  readonly database: Database;
  readonly audit: Audit;
}

/**
 * Opens the database for a command and closes it afterwards. Audit events are logged, whatever `LOG_LEVEL` is.
 * @throws {ConfigError} when the configuration is unusable.
 */
export async function withTools<T>(
  { env, logLine }: Arguments,
  work: (tools: Tools) => Promise<T>,
): Promise<T> {
  const config = loadToolConfig(env);
  const database = openDatabase(config.database, 'rollcall-cli');
  const log = createLogger({
    service: 'rollcall-cli',
    ...config.logging,
    level: 'info',
    destination: { write: logLine },
  });
  try {
    return await work({ database, audit: createAudit(log) });
  } finally {
    await database.close();
  }
}

/** The cause of a command: the user of the operating system who runs it. */
export function causeOfCommand(): Cause {
  return { traceId: randomBytes(16).toString('hex'), actor: `cli/${userName()}` };
}

/** A container may run under a user id without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

/** @throws {UsageError} when the text is not an e-mail address. */
export function readAddress(text: string): EmailAddress {
  const email = readTypedAddress(text);
  if (!email) throw new UsageError(`${text} is not an e-mail address`);
  return email;
}

/** Explains a service's `not_found` to a person; any other error is rethrown. */
export function refuseUnknownAdmin(error: unknown): never {
  const isUnknown = error instanceof AppError && error.code === 'not_found';
  throw isUnknown ? new Error('no confirmed admin has this address') : error;
}
