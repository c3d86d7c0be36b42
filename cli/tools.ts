import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { createAudit, readReason, type Audit, type Cause } from '../shared/audit/audit.js';
import type { LiftPasswordLocksDeps } from '../api/ops/password-locks.service.js';
import { loadRateLimitToolConfig, loadToolConfig } from '../shared/config/config.js';
import { deriveKeyRing } from '../shared/crypto/keys.js';
import { openDatabase, type Database } from '../shared/database/connect.js';
import { AppError } from '../shared/errors/app-error.js';
import { readTypedAddress, type EmailAddress } from '../shared/identity/email-address.js';
import { readDayOrTime } from '../shared/iso-time.js';
import { createFailpoint } from '../shared/lifecycle/failpoint.js';
import { createLogger, type Logger } from '../shared/logging/logger.js';
import { createOutbox, type Outbox } from '../shared/outbox/outbox.js';
import { connectRedis } from '../shared/queues/redis-client.js';
import { refusalOfRedis } from '../shared/queues/redis-refusals.js';
import { optionOf, UsageError, type Arguments, type OptionSpec } from './command.js';

/** The resources of a command that needs the database. */
export interface Tools {
  readonly database: Database;
  readonly audit: Audit;
  /** Writes messages for the relay to enqueue: a command needs no Redis for them. */
  readonly outbox: Outbox;
  readonly confirmationExpiresMs: number;
  /** Canonical addresses that have the operator role by `OPERATOR_EMAILS`. */
  readonly operatorEmails: readonly string[];
  readonly log: Logger;
}

/**
 * Opens the database for a command. Audit events are logged, whatever `LOG_LEVEL` is.
 * @throws {ConfigError} when the configuration is unusable.
 */
export function openTools({ env, logLine }: Arguments): Tools & { close(): Promise<void> } {
  const config = loadToolConfig(env);
  const database = openDatabase(config.database, 'rollcall-cli');
  const log = createLogger({
    service: 'rollcall-cli',
    ...config.logging,
    level: 'info',
    destination: { write: logLine },
  });
  const outbox = createOutbox({
    database,
    log,
    room: { has: async () => false },
    queue: { add: () => Promise.reject(new Error('no queue is open')) },
    failpoint: createFailpoint(config.failpoint),
  });
  return {
    database,
    log,
    audit: createAudit(log),
    outbox,
    confirmationExpiresMs: config.confirmationExpiresMs,
    operatorEmails: config.operatorEmails,
    async close() {
      await outbox.close();
      await database.close();
    },
  };
}

/** The same for one piece of work, and closes it afterwards. */
export async function withTools<T>(
  args: Arguments,
  work: (tools: Tools) => Promise<T>,
): Promise<T> {
  const { close, ...tools } = openTools(args);
  try {
    return await work(tools);
  } finally {
    await close();
  }
}

/** Opens where rate limits are counted, for one piece of work. @throws when Redis cannot be reached. */
export async function withRateLimits<T>(
  { env }: Arguments,
  work: (rateLimiting: LiftPasswordLocksDeps['rateLimiting']) => Promise<T>,
): Promise<T> {
  const { redis: address, secrets } = loadRateLimitToolConfig(env);
  const redis = await connectRedis(address.url).catch((error: unknown) => {
    const problem = refusalOfRedis(error)?.problem ?? 'cannot be reached';
    throw new Error(`Redis ${problem}: nothing was changed`, { cause: error });
  });
  try {
    return await work({ redis, key: deriveKeyRing(secrets, 'throttle').current });
  } finally {
    redis.disconnect();
  }
}

/** The option of every command that changes something. */
export const reasonOption: OptionSpec = {
  flags: '--reason <TEXT>',
  summary: 'why, up to 500 characters; kept in the audit',
};

/** The cause of a command: the user of the operating system who runs it, and the reason. @throws {UsageError} */
export function causeOfCommand(args: Arguments): Cause {
  const cause = { traceId: randomBytes(16).toString('hex'), actor: `cli/${userName()}` };
  const text = optionOf(args, 'reason');
  if (text === undefined) return cause;
  const reason = readReason(text);
  if (reason === undefined)
    throw new UsageError('--reason must be one line of 1 to 500 visible characters');
  return { ...cause, reason };
}

/** A container may run under a user id without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}

/** A point in time: ISO 8601, in UTC unless it has a zone, or an age, as `90m`, `12h` or `3d`. @throws {UsageError} */
export function timeOption(args: Arguments, name: string): Date | undefined {
  const text = optionOf(args, name);
  if (text === undefined) return undefined;
  const [, count, unit] = /^(\d{1,4})([mhd])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined)
    return new Date(Date.now() - Number(count) * MS_OF_UNIT[unit as keyof typeof MS_OF_UNIT]);
  const time = readDayOrTime(text);
  if (time) return time;
  throw new UsageError(
    `--${name} must be a time such as 2026-01-31T12:00 (UTC by default), or an age such as 90m, 12h or 3d`,
  );
}

const MS_OF_UNIT = { m: 60_000, h: 3_600_000, d: 86_400_000 };

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
