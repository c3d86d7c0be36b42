import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { createAudit, type Audit, type Cause } from '../shared/audit/audit.js';
import { loadToolConfig } from '../shared/config/config.js';
import { openDatabase, type Database } from '../shared/database/connect.js';
import { AppError } from '../shared/errors/app-error.js';
import { readTypedAddress, type EmailAddress } from '../shared/identity/email-address.js';
import { createLogger } from '../shared/logging/logger.js';
import { UsageError, type Arguments } from './command.js';

/** What commands work with. */
export interface Tools {
  readonly database: Database;
  readonly audit: Audit;
}

/**
 * Opens the database for a command, and closes it when that is done. What the audit records is told too, whatever the
 * level of other lines.
 * @throws {ConfigError} when the environment does not say where it is.
 */
export async function withTools<T>(
  { env, tell }: Arguments,
  work: (tools: Tools) => Promise<T>,
): Promise<T> {
  const config = loadToolConfig(env);
  const database = openDatabase(config.database, 'rollcall-cli');
  const log = createLogger({
    service: 'rollcall-cli',
    ...config.logging,
    level: 'info',
    destination: { write: tell },
  });
  try {
    return await work({ database, audit: createAudit(log) });
  } finally {
    await database.close();
  }
}

/** A command is caused by who is at the keyboard: the user of the operating system. */
export function causeOfCommand(): Cause {
  return { traceId: randomBytes(16).toString('hex'), actor: `cli/${userName()}` };
}

/** A container may run under a number that the system has no name for. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

/** @throws {UsageError} when the text is no e-mail address. */
export function readAddress(text: string): EmailAddress {
  const email = readTypedAddress(text);
  if (!email) throw new UsageError(`${text} is not an e-mail address`);
  return email;
}

/** Says of an admin that a service has not found what a person can read; any other error is thrown on. */
export function refuseUnknownAdmin(error: unknown): never {
  const isUnknown = error instanceof AppError && error.code === 'not_found';
  throw isUnknown ? new Error('no confirmed admin has this address') : error;
}
