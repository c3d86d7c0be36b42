import 'reflect-metadata';
import pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { Sequelize } from 'sequelize-typescript';
import { models } from '../models/index.js';
import { isReadOnlyServer, mayRefuseWrites } from './sql-states.js';

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
/** What an idle transaction may take, and a statement: by `set_config`, for the session or for the transaction alone. */
const SET_TIMEOUTS = `select set_config('statement_timeout', $1, $3), set_config('idle_in_transaction_session_timeout', $2, $3)`;

/** A pool of connections with the models bound to it. */
export class Database extends Sequelize {
  /** True from the first write that the server seems to have refused, until one is seen to go well. */
  hasRefusedWrite = false;
}

/**
 * Opens the pool; connects lazily. With PostgreSQL gone every query and every transaction fails within the time-out
 * and a second instead of waiting: it bounds connecting, waiting for a connection, and a connection that has silently
 * died, which is never used again. Closing waits for no server either. A session that refuses a write because its server
 * is read-only is not used again either: after a failover it may be left on the demoted one.
 *
 * Works through a connection pooler in transaction mode as well: nothing is sent at the start that one would refuse, and
 * nothing relies on the session. The server's time-outs are then set in each transaction.
 */
export function openDatabase(config: DatabaseConfig, applicationName: string): Database {
  const { timeoutMs } = config;
  const connectTimeoutMs = CONNECT_PART * timeoutMs;
  const queryTimeoutMs = timeoutMs + ANSWER_GRACE_MS;
  const idleInTransactionMs = Math.max(IDLE_IN_TRANSACTION_MS, 2 * timeoutMs);
  // All that is asked before a new connection is handed over, each answered at the last moment.
  const setUpTimeoutMs = connectTimeoutMs + 3 * queryTimeoutMs + 1_000;
  class Client extends PooledClient {
    override readonly deadline = setTimeout(() => this.hangUp(), setUpTimeoutMs).unref();
    override readonly timeouts = [String(timeoutMs), String(idleInTransactionMs)] as const;
    override readonly onWriteRefused = () => {
      database.hasRefusedWrite = true;
    };
  }
  const database: Database = new Database({
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
    },
  });
  setUpConnections(database);
  return database;
}

/** Behind a connection pooler only what is set in the transaction itself is sure to hold there. */
export async function boundTransaction(database: Database, tx: Transaction): Promise<void> {
  const { connection } = tx as Transaction & { readonly connection: PooledClient };
  if (!connection.isPooled) return;
  await database.query(SET_TIMEOUTS, {
    type: QueryTypes.SELECT,
    transaction: tx,
    bind: [...connection.timeouts, true],
  });
}

/**
 * A client that ends unless it is in the pool in time: Sequelize forgets one that it could not set up, and a server that
 * is slow for a while would be left with more and more of them.
 */
abstract class PooledClient extends pg.Client {
  /** Sequelize's mark of a connection that must not be used again; set when a query was not answered in time. */
  declare _invalid?: boolean;
  /** Of the session, as the server has told at its start. */
  declare readonly processID: number | null;
  /** True when statements may run in other sessions than the one that was opened. */
  isPooled = false;

  protected abstract readonly deadline: NodeJS.Timeout;
  /** Milliseconds for a statement, and for a transaction that does nothing. */
  abstract readonly timeouts: readonly [string, string];
  protected abstract readonly onWriteRefused: () => void;

  constructor(config?: pg.ClientConfig) {
    super(config);
    // Sequelize listens only a moment after the server has said that it is ready. An error that nobody listens to ends
    // the process; the next query on this connection tells of it anyway.
    this.on('error', () => (this['_invalid'] = true));
    this.connection.on('errorMessage', ({ code }: { readonly code?: string }) => {
      // Without a right, or without transaction ids, a new session would be no better off.
      if (isReadOnlyServer(code)) this['_invalid'] = true;
      if (mayRefuseWrites(code)) this.onWriteRefused();
    });
  }

  /**
   * Sets the time-outs, in one statement that does so only in the session that was opened: behind a pooler in transaction
   * mode it would change a session that belongs to others.
   */
  async setUp(): Promise<void> {
    const { rowCount } = await this.query(`${SET_TIMEOUTS} where pg_backend_pid() = $4`, [
      ...this.timeouts,
      false,
      this.processID,
    ]);
    this.isPooled = rowCount === 0;
    clearTimeout(this.deadline);
  }

  hangUp(): void {
    this.connection.stream.destroy();
  }
}

/**
 * Sequelize only marks a connection that is not to be used again: it would still roll back on it, and where a query was
 * not answered so wait once more. Cut off, whatever else is asked on it fails at once, and the server ends the transaction
 * when it finds out.
 */
function setUpConnections(database: Database): void {
  database.addHook('afterConnect', (connection) => (connection as PooledClient).setUp());
  database.addHook('afterQuery', (_options, query) => {
    const client = query.connection as PooledClient;
    if (client['_invalid']) client.hangUp();
  });
  database.addHook('beforeDisconnect', (connection) => {
    setTimeout(() => (connection as PooledClient).hangUp(), GOODBYE_TIMEOUT_MS).unref();
  });
}
