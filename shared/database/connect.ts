import 'reflect-metadata';
import pg from 'pg';
import { Sequelize } from 'sequelize-typescript';
import { models } from '../models/index.js';

/** Where PostgreSQL is, as the configuration gives it. */
export interface DatabaseConfig {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly user: string;
  readonly password: string;
  readonly poolMax: number;
  /** How long a statement may take, and how long to wait for a connection that is free. */
  readonly timeoutMs: number;
  readonly ssl: false | { readonly rejectUnauthorized: boolean; readonly ca?: string };
}

/** Of the time-out: a server that is there is quick to take a connection. */
const CONNECT_PART = 0.75;
/** The server gives a statement up first: the client's own limit is for a server that no longer answers. */
const ANSWER_GRACE_MS = 300;
const IDLE_IN_TRANSACTION_MS = 10_000;
/** A server that does not take leave is left without. */
const GOODBYE_TIMEOUT_MS = 500;

/** A pool of connections with the models bound to it. */
export type Database = Sequelize;

/**
 * Opens the pool; connects lazily. With PostgreSQL gone every query and every transaction fails within the time-out
 * and a second instead of waiting: it bounds connecting, waiting for a connection, and a connection that has silently
 * died, which is never used again. Closing waits for no server either.
 */
export function openDatabase(config: DatabaseConfig, applicationName: string): Database {
  const { timeoutMs } = config;
  const connectTimeoutMs = CONNECT_PART * timeoutMs;
  const queryTimeoutMs = timeoutMs + ANSWER_GRACE_MS;
  // All that Sequelize asks before it hands a new connection over, each answered at the last moment.
  const setUpTimeoutMs = connectTimeoutMs + 2 * queryTimeoutMs + 1_000;
  class Client extends PooledClient {
    override readonly deadline = setTimeout(() => this.hangUp(), setUpTimeoutMs).unref();
  }
  const database = new Sequelize({
    dialect: 'postgres',
    dialectModule: { ...pg, Client },
    host: config.host,
    port: config.port,
    database: config.name,
    username: config.user,
    password: config.password,
    models,
    logging: false,
    pool: { max: config.poolMax, min: 0, idle: 10_000, acquire: timeoutMs },
    retry: { max: 0 },
    dialectOptions: {
      application_name: applicationName,
      ssl: config.ssl,
      keepAlive: true,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: queryTimeoutMs,
      statement_timeout: timeoutMs,
      idle_in_transaction_session_timeout: Math.max(IDLE_IN_TRANSACTION_MS, 2 * timeoutMs),
    },
  });
  hangUpOnSilence(database);
  return database;
}

/**
 * A client that ends unless it is in the pool in time: Sequelize forgets one that it could not set up, and a server that
 * is slow for a while would be left with more and more of them.
 */
abstract class PooledClient extends pg.Client {
  /** Sequelize's mark of a connection that must not be used again; set when a query was not answered in time. */
  declare _invalid?: boolean;

  protected abstract readonly deadline: NodeJS.Timeout;

  constructor(config?: pg.ClientConfig) {
    super(config);
    // Sequelize listens only a moment after the server has said that it is ready. An error that nobody listens to ends
    // the process; the next query on this connection tells of it anyway.
    this.on('error', () => (this['_invalid'] = true));
  }

  isSetUp(): void {
    clearTimeout(this.deadline);
  }

  hangUp(): void {
    this.connection.stream.destroy();
  }
}

/**
 * Sequelize only marks a connection on which a query was not answered: it would still roll back on it, and so wait once
 * more. Cut off, whatever else is asked on it fails at once, and the server ends the transaction when it finds out.
 */
function hangUpOnSilence(database: Database): void {
  database.addHook('afterConnect', (connection) => (connection as PooledClient).isSetUp());
  database.addHook('afterQuery', (_options, query) => {
    const client = query.connection as PooledClient;
    if (client['_invalid']) client.hangUp();
  });
  database.addHook('beforeDisconnect', (connection) => {
    setTimeout(() => (connection as PooledClient).hangUp(), GOODBYE_TIMEOUT_MS).unref();
  });
}
