import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import type { EnvironmentReader } from './reader.js';

const MIB = 1_024 * 1_024;

/** Where log lines wait until they are shipped, and how many; nothing if they go to stdout alone. */
export function spool(reader: EnvironmentReader): { dir: string; maxBytes: number } | undefined {
  const dir = resolve(reader.get('SPOOL_DIR') ?? defaultDir(reader));
  const maxBytes = reader.get('SPOOL_MAX_MIB') * MIB;
  return reader.get('FIREHOSE_DELIVERY_STREAM') === undefined ? undefined : { dir, maxBytes };
}

function defaultDir(reader: EnvironmentReader): string {
  const given = reader.get('XDG_STATE_HOME');
  if (!reader.isProduction) return join('.local', 'spool');
  // A relative path is to be ignored: XDG Base Directory Specification.
  const state = given !== undefined && isAbsolute(given) ? given : join(homedir(), '.local/state');
  return join(state, 'rollcall', 'spool');
}
