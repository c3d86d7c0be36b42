import { isIP } from 'node:net';
import { Redis } from 'ioredis';

const CONNECT_TIMEOUT_MS = 2_000;
const COMMAND_TIMEOUT_MS = 1_000;
/** A connection on which nothing comes back for so long is dead, though nobody has said so. */
const SILENT_AFTER_MS = 5_000;

/** Where a Redis is, as ioredis takes it; `rediss:` is TLS with the server's name checked. */
export function redisAddress(url: string) {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    host,
    port: port === '' ? 6379 : Number(port),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    db: pathname.length > 1 ? Number(pathname.slice(1)) : 0,
    // RFC 6066, section 3: an address is no server name; it is checked against the certificate all the same.
    ...(protocol === 'rediss:' && { tls: isIP(host) === 0 ? { servername: host } : {} }),
  };
}

/**
 * A client that would rather fail than wait: with Redis gone a command is refused at once, with Redis silent within
 * a second. It reconnects by itself. For producers; a blocking consumer needs other settings.
 *
 * With `leaveAfterMs` a Redis that is silent for so long counts as gone: what it was asked fails together, and nobody
 * waits for it again until a new connection stands. For callers that ask several times in a row.
 */
export function openFailFastRedis(
  url: string,
  onError: (error: Error) => void,
  { leaveAfterMs }: { readonly leaveAfterMs?: number } = {},
): Redis {
  const client = new Redis({
    ...redisAddress(url),
    enableOfflineQueue: false,
    // One that loads its data, or has lost its primary, says so to each command; waiting for it would tell nobody why.
    enableReadyCheck: false,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: reconnectDelayMs,
    // None: what was asked when the connection was lost fails at once instead of being asked again.
    maxRetriesPerRequest: leaveAfterMs === undefined ? 1 : 0,
    socketTimeout: leaveAfterMs ?? SILENT_AFTER_MS,
    reconnectOnError: isDemoted,
  });
  client.on('error', onError);
  return client;
}

/**
 * For `reconnectOnError` of ioredis. A server that a failover has made a replica keeps its connections and refuses all
 * writes: who connects again finds the new primary, or a server that says the same.
 */
export const isDemoted = ({ message }: Error): boolean =>
  /^(?:READONLY|.* -READONLY)\b/.test(message);

/**
 * Resolves to a client that is connected, for a tool that asks once: it never reconnects.
 * @throws when Redis cannot be reached within two seconds.
 */
export async function connectRedis(url: string): Promise<Redis> {
  const client = new Redis({
    ...redisAddress(url),
    lazyConnect: true,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    retryStrategy: () => null,
  });
  let reason: Error | undefined;
  client.on('error', (error) => {
    reason ??= error;
  });
  try {
    await client.connect();
    return client;
  } catch (error) {
    client.disconnect();
    throw reason ?? error;
  }
}

/** Milliseconds before the next try to connect: 100 ms doubling to 5 s, jittered so that a fleet does not return as one. */
export function reconnectDelayMs(tries: number): number {
  return Math.min(100 * 2 ** Math.min(tries - 1, 6), 5_000) * (0.75 + Math.random() / 4);
}
