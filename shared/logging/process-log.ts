import type { ApiConfig } from '../config/config.js';
import { createLogger, type LogDestination, type Logger } from './logger.js';
import type { SpoolOwner } from './spool/spool-owner.js';
import { openSpool, type Spool } from './spool/spool.js';

/** Where a process's lines go. */
export interface ProcessLog {
  /** Every line goes to the output, and to Firehose if there is a spool. */
  readonly log: Logger;
  /** Does not ship: for whatever has to do with shipping. */
  readonly localLog: Logger;
  /** Absent when logs go to the output alone. */
  readonly spool: Spool | undefined;
}

/**
 * Opens a process's log over the output, and the spool if the configuration has one.
 * @param owner who the spool's folders belong to, by default this process.
 * @throws {ConfigError} when there can be no folder for the spool.
 */
export function openProcessLog(
  service: string,
  config: Pick<ApiConfig, 'logging' | 'spool'>,
  output: LogDestination,
  owner?: SpoolOwner,
): ProcessLog {
  const identity = { service, ...config.logging };
  const localLog = createLogger({ ...identity, destination: output });
  if (!config.spool) return { log: localLog, localLog, spool: undefined };
  const spool = openSpool({
    ...config.spool,
    localLog,
    print: output.write,
    ...(owner && { me: owner }),
  });
  return { log: createLogger({ ...identity, destination: spool }), localLog, spool };
}
