import { isIP } from 'node:net';
import type { Redis } from 'ioredis';
import { refusalOfConnection } from './connection-refusal.js';
import { TimedRedis, type ReplyTime } from './timed-redis.js';

const CONNECT_TIMEOUT_MS = 2_000;
/** A connection without an answer for so long is dead, even if it was never closed. */
const SOCKET_TIMEOUT_MS = 5_000;
const REPLY_MS = 1_000;

/** A Redis URL as connection options of ioredis; `rediss:` is TLS with the server's name verified. */
export function redisAddress(url: string) {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    host,
    port: port === '' ? 6379 : Number(port),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    db: pathname.length > 1 ? Number(pathname.slice(1)) : 0,
    // RFC 6066, section 3: an IP address is no server name. It is verified against the certificate all the same.
    ...(protocol === 'rediss:' && { tls: isIP(host) === 0 ? { servername: host } : {} }),
  };
}

/**
 * A client that fails fast: without a connection a command fails at once, without a reply within a second by default. It
 * reconnects by itself. For producers; a blocking consumer needs other settings.
 *
 * One that `leaves` is for callers that send several commands in a row: until a new connection is open they fail at once.
 */
export function openFailFastRedis(
  url: string,
  onError: (error: Error) => void,
  replyTime: ReplyTime = { replyMs: REPLY_MS },
): Redis {
  const options = {
    ...redisAddress(url),
    enableOfflineQueue: false,
    // A Redis that loads its data, or has lost its primary, answers each command with the reason; waiting would hide it.
    enableReadyCheck: false,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: reconnectDelayMs,
    // 0: commands in flight when the connection is lost fail at once and are not sent again.
    maxRetriesPerRequest: replyTime.leaves ? 0 : 1,
    socketTimeout: SOCKET_TIMEOUT_MS,
    reconnectOnError: isDemoted,
  };
  const client = new TimedRedis(options, replyTime);
  client.on('error', onError);
  return client;
}

/**
 * For `reconnectOnError` of ioredis. A server that a failover has made a replica keeps its connections and refuses all
 * writes; a new connection may reach the new primary.
 */
export const isDemoted = ({ message }: Error): boolean =>
  /^(?:READONLY|.* -READONLY)\b/.test(message);

/**
 * Resolves to a connected client that never reconnects, for command-line tools.
 * @throws when Redis cannot be reached within two seconds; its refusal, if it takes no connection.
 */
export async function connectRedis(url: string): Promise<Redis> {
  const options = {
    ...redisAddress(url),
    lazyConnect: true,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: () => null,
  };
  const client = new TimedRedis(options, { replyMs: REPLY_MS });
  let reason: Error | undefined;
  client.on('error', (error) => {
    reason ??= error;
  });
  try {
    await client.connect();
    return client;
  } catch (error) {
    client.disconnect();
    throw (await refusalOfConnection(client.options)) ?? reason ?? error;
  }
}

/** Milliseconds before the next attempt to connect: 100 ms doubling to 5 s, with jitter so that a fleet spreads out. */
export function reconnectDelayMs(attempts: number): number {
  return Math.min(100 * 2 ** Math.min(attempts - 1, 6), 5_000) * (0.75 + Math.random() / 4);
}
