import { connect } from 'node:net';
import type { RedisOptions } from 'ioredis';
import { RefusedConnection } from './redis-refusals.js';

/** A Redis that takes the connection says nothing until it is asked. */
const LISTEN_MS = 500;
const REFUSAL = /^-([A-Z][^\r\n]*)\r?\n/;

/**
 * What Redis answers to a connection that it does not take, such as one beyond `maxclients`: it says so unasked, and closes.
 * A client whose first commands meet the closed connection reads no answer any more, so this only listens. Undefined when
 * Redis says nothing within half a second, or wants TLS: then it closes without a word.
 */
export async function refusalOfConnection({
  host = 'localhost',
  port = 6379,
  tls,
}: Pick<RedisOptions, 'host' | 'port' | 'tls'>): Promise<Error | undefined> {
  if (tls !== undefined) return undefined;
  const socket = connect({ host, port, signal: AbortSignal.timeout(LISTEN_MS) });
  try {
    for await (const said of socket) {
      const [, refusal] = REFUSAL.exec(String(said).slice(0, 1_000)) ?? [];
      return refusal === undefined ? undefined : new RefusedConnection(refusal);
    }
  } catch {
    // It is down or silent, which its clients report.
  } finally {
    socket.destroy();
  }
  return undefined;
}
