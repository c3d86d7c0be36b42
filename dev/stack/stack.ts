import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  openFirehoseEndpoint,
  type FirehoseEndpoint,
} from '../emulators/firehose/firehose-endpoint.js';
import { openMailbox, type Mailbox } from './mailbox.js';
import { openPostgres, type Postgres } from './postgres/postgres.js';
import { claimPort, loopback } from './processes/ports.js';
import { openRedis, type Redis } from './redis.js';

/** The running servers that the API and the worker need. */
export interface Stack {
  readonly dataDir: string;
  readonly postgresUrl: string;
  readonly redisUrl: string;
  readonly mail: { readonly host: string; readonly port: number };
  readonly mailboxUrl: string;
  readonly firehoseUrl: string;
  /** The servers themselves, for tests that stop, kill or break them. */
  readonly services: StackServices;
  /** Stops every server, and resolves when none is left running. Safe twice. */
  close(): Promise<void>;
}

export interface StackServices {
  readonly postgres: Postgres;
  readonly redis: Redis;
  readonly mailbox: Mailbox;
  readonly firehose: FirehoseEndpoint;
}

export interface StackOptions {
  /** All data is kept below it. */
  readonly dataDir: string;
  /** `default`: the documented ports, or the next free ones if they are taken. `any`: any free ports, for tests. */
  readonly ports: 'default' | 'any';
  /** Running servers to use instead of starting them. */
  readonly databaseUrl?: string | undefined;
  readonly redisUrl?: string | undefined;
  /** False: data need not survive this stack or a crash of the machine. Faster. */
  readonly durable?: boolean;
  readonly onProgress?: (line: string) => void;
  /** Aborts the start. */
  readonly signal?: AbortSignal | undefined;
}

/** The ports of `npm run dev`. PostgreSQL and Redis leave their standard ports to system servers. */
export const defaultPorts = {
  postgres: 5433,
  redis: 6380,
  smtp: 1025,
  mailbox: 1080,
  firehose: 4573,
} as const;

/** Opens PostgreSQL, Redis, a mail catcher and a Firehose endpoint on loopback. If one fails, closes the others and rejects. */
export async function openStack(options: StackOptions): Promise<Stack> {
  const { dataDir, signal, onProgress, durable = true } = options;
  const portOf = (name: keyof typeof defaultPorts) =>
    options.ports === 'any' ? 0 : defaultPorts[name];
  const common = { dataDir, signal, ...(onProgress === undefined ? {} : { onProgress }) };
  await mkdir(dataDir, { recursive: true });
  const opened = await openAll({
    postgres: openPostgres({
      ...common,
      url: options.databaseUrl,
      port: portOf('postgres'),
      durable,
    }),
    redis: openRedis({
      ...common,
      url: options.redisUrl,
      port: portOf('redis'),
      persistent: durable,
    }),
    mailbox: openMailbox({ ...common, smtpPort: portOf('smtp'), webPort: portOf('mailbox') }),
    firehose: openFirehose(dataDir, portOf('firehose')),
  });
  return {
    dataDir,
    postgresUrl: opened.postgres.url,
    redisUrl: opened.redis.url,
    mail: opened.mailbox.smtp,
    mailboxUrl: opened.mailbox.url,
    firehoseUrl: opened.firehose.url,
    services: opened,
    close: () => closeAll(Object.values(opened)),
  };
}

interface Closable {
  close(): Promise<void>;
}

async function openAll(opening: {
  [Name in keyof StackServices]: Promise<StackServices[Name]>;
}): Promise<StackServices> {
  const settled = await Promise.allSettled(Object.values(opening));
  const failure = settled.find((result) => result.status === 'rejected');
  if (failure === undefined) {
    return {
      postgres: await opening.postgres,
      redis: await opening.redis,
      mailbox: await opening.mailbox,
      firehose: await opening.firehose,
    };
  }
  await closeAll(
    settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])),
  );
  throw failure.reason;
}

async function closeAll(services: readonly Closable[]): Promise<void> {
  const results = await Promise.allSettled(services.map((service) => service.close()));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure !== undefined) throw failure.reason;
}

async function openFirehose(dataDir: string, port: number): Promise<FirehoseEndpoint> {
  const claim = await claimPort(port);
  try {
    const endpoint = await openFirehoseEndpoint({
      dataDir: join(dataDir, 'firehose'),
      port: claim.port,
      host: loopback,
    });
    return {
      ...endpoint,
      async close() {
        await endpoint.close();
        await claim.release();
      },
    };
  } catch (error) {
    await claim.release();
    throw error;
  }
}
