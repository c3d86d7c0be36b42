import type { ApiConfig } from '../config/config.js';
import { createLogger, type Logger, type RootLogger } from '../logging/logger.js';
import { openStandardOutput, type StandardOutput } from '../logging/standard-output.js';
import type { Queues } from '../queues/queues.js';
import { thisProcess, type FolderOwner } from './folder-owner.js';
import { openSpool, type Shipping, type SpoolUse } from './spool.js';

export type { SpoolUse } from './spool.js';

/** A process's logging: its loggers, and the shipping of what they write. */
export interface Logging {
  /** Writes to standard output, and through the spool to Firehose if a delivery stream is configured. */
  readonly log: RootLogger;
  /** Writes to standard output alone: for events of log shipping itself, which must not cause more to ship. */
  readonly localLog: Logger;
  /** Starts to ship what is spooled. Without a delivery stream it does nothing. */
  startShipping(queues: Pick<Queues, 'logs' | 'receipts' | 'room'>): Pick<Shipping, 'stop'>;
  /** How full the spool is; `undefined` without one. */
  spoolUse(): SpoolUse | undefined;
  /** Closes the spool. What is logged after that goes to standard output alone. */
  close(): void;
}

/** For tests that run a process's parts in their own process. */
export interface LoggingOptions {
  /** Takes the lines instead of standard output. */
  readonly output?: Pick<StandardOutput, 'write'> & Partial<Pick<StandardOutput, 'reportTo'>>;
  /** The owner of the spool's folders instead of this process. */
  readonly owner?: FolderOwner;
}

/**
 * Opens a process's logging. A line is written to the spool, if there is one, before it is written to standard output.
 * @param service `rollcall-api` or `rollcall-worker`.
 * @throws {ConfigError} when the spool's directory cannot be created or written.
 */
export function openLogging(
  config: Pick<ApiConfig, 'logging' | 'spool'>,
  service: string,
  { output = openStandardOutput(), owner = thisProcess() }: LoggingOptions = {},
): Logging {
  const identity = { service, ...config.logging };
  const localLog = createLogger({ ...identity, destination: output });
  const print = (lines: Buffer): boolean => output.write(lines);
  const spool = config.spool && openSpool({ ...config.spool, localLog, print, owner });
  const log = spool ? createLogger({ ...identity, destination: spool }) : localLog;
  output.reportTo?.(log);
  return {
    log,
    localLog,
    startShipping: ({ logs, receipts, room }) =>
      spool?.startShipping({ queue: logs, receipts, room: room.logs, log }) ?? nothingToShip,
    spoolUse: () => spool?.use(),
    close: () => spool?.close(),
  };
}

const nothingToShip: Pick<Shipping, 'stop'> = { stop: () => Promise.resolve() };
