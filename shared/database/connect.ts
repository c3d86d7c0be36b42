import 'reflect-metadata';
import pg from 'pg';
import { QueryTypes, type Transaction } from 'sequelize';
import { Sequelize } from '../models/sequelize-typescript.js';
import { models } from '../models/index.js';
import { SessionClient } from './session-client.js';
import { isReadOnlyServer, mayRefuseWrites } from './sql-states.js';
import { createStatements, type Statements } from './statements.js';

export interface DatabaseConfig {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly user: string;
  readonly password: string;
  readonly poolMax: number;
  /** Time-out of a statement, and of waiting for a free connection. */
  readonly timeoutMs: number;
  readonly ssl: false | { readonly rejectUnauthorized: boolean; readonly ca?: string };
}

/** How a pool of connections is used. */
export interface ConnectionUse {
  readonly used: number;
  readonly idle: number;
  /** Who waits for a connection. */
  readonly waiting: number;
  readonly max: number;
}

/** Connections for prepared statements, beside those of the models: they are held only as long as one statement runs. */
const MAX_STATEMENT_CONNECTIONS = 4;
/** An idle connection is closed after this. Longer than between the looks of presence and alerts, which would connect anew. */
const IDLE_MS = 30_000;
/** Share of the time-out: a reachable server accepts a connection quickly. */
const CONNECT_PART = 0.75;
/** The server cancels a statement first; the client's own limit is for a server that no longer answers. */
const ANSWER_GRACE_MS = 300;
const IDLE_IN_TRANSACTION_MS = 10_000;
/** How long closing a connection waits for the server. */
const CLOSE_TIMEOUT_MS = 500;
/**
 * A prepared statement looks rows up by an index. It is planned once, since planning takes longer than running it. The plan is
 * kept while tables grow, so it must not be one for a table that was small, or had no statistics, when it was made.
 */
export const STATEMENT_SETTINGS = `select set_config('plan_cache_mode', 'force_generic_plan', false),
       (select count(set_config('enable_' || method, 'off', false))
          from unnest(array['seqscan', 'bitmapscan', 'sort', 'incremental_sort']) method)`;
/** Time-outs of statements and of idle transactions; `$3`: for this transaction only, instead of the session. */
const SET_TIMEOUTS = `select set_config('statement_timeout', $1, $3), set_config('idle_in_transaction_session_timeout', $2, $3)`;

/** A pool of connections with the models bound to it. */
export class Database extends Sequelize {
  /** True from the first write that the server seems to have refused until one succeeds. */
  hasRefusedWrite = false;
  /** Prepared statements, without models. */
  declare readonly statements: Statements;
  /** The connections of both pools. */
  declare readonly connectionUse: () => Readonly<Record<'models' | 'statements', ConnectionUse>>;

  override async close(): Promise<void> {
    await Promise.all([super.close(), this.statements.close()]);
  }
}

/**
 * Opens the pool; connects lazily. While PostgreSQL is down every query and transaction fails within the time-out plus a
 * second: connecting, waiting for a connection and waiting for an answer are bounded, and a connection that timed out is
 * not used again. Closing is bounded too. A session whose server is read-only is closed when it refuses a write: after a
 * failover it may still be connected to the demoted primary.
 *
 * Works through a connection pooler in transaction mode: it sends no startup parameters that a pooler refuses and relies on
 * no session state. The server's time-outs are then set in each transaction.
 */
export function openDatabase(config: DatabaseConfig, applicationName: string): Database {
  const { timeoutMs } = config;
  const connectTimeoutMs = CONNECT_PART * timeoutMs;
  const queryTimeoutMs = timeoutMs + ANSWER_GRACE_MS;
  const idleInTransactionMs = Math.max(IDLE_IN_TRANSACTION_MS, 2 * timeoutMs);
  // The queries that set up a connection, each answered just before its time-out.
  const setUpTimeoutMs = connectTimeoutMs + 3 * queryTimeoutMs + 1_000;
  class Client extends PooledClient {
    override readonly deadline = setTimeout(() => this.destroySocket(), setUpTimeoutMs).unref();
    override readonly timeouts = [String(timeoutMs), String(idleInTransactionMs)] as const;
    override readonly onWriteRefused = () => {
      database.hasRefusedWrite = true;
    };
  }
  const connection = {
    host: config.host,
    port: config.port,
    database: config.name,
    password: config.password,
  };
  const options = {
    application_name: applicationName,
    ssl: config.ssl,
    keepAlive: true,
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutMs,
  };
  const pool = new pg.Pool({
    ...connection,
    ...options,
    user: config.user,
    Client,
    max: Math.min(MAX_STATEMENT_CONNECTIONS, config.poolMax),
    idleTimeoutMillis: IDLE_MS,
    // The pool waits for it, which its types don't say.
    // oxlint-disable-next-line typescript/no-misused-promises
    onConnect: (client) => (client as Client).setUp(STATEMENT_SETTINGS),
  });
  // An idle connection that the server closed; the pool has already removed it.
  pool.on('error', () => undefined);
  const database: Database = Object.assign(
    new Database({
      dialect: 'postgres',
      dialectModule: { ...pg, Client },
      ...connection,
      username: config.user,
      models,
      logging: false,
      pool: { max: config.poolMax, min: 0, idle: IDLE_MS, acquire: timeoutMs },
      retry: { max: 0 },
      dialectOptions: options,
    }),
    {
      statements: createStatements(pool),
      connectionUse: () => ({ models: useOfModels(database), statements: useOf(pool) }),
    },
  );
  setUpConnections(database);
  return database;
}

const useOf = ({ totalCount, idleCount, waitingCount, options }: pg.Pool): ConnectionUse => ({
  used: totalCount - idleCount,
  idle: idleCount,
  waiting: waitingCount,
  max: options.max,
});

/** What Sequelize's pool (sequelize-pool) reports about itself. */
interface ModelPool {
  readonly using: number;
  readonly available: number;
  readonly waiting: number;
  readonly maxSize: number;
}

function useOfModels({ connectionManager }: Database): ConnectionUse {
  const { pool } = connectionManager as unknown as { readonly pool: ModelPool };
  return { used: pool.using, idle: pool.available, waiting: pool.waiting, max: pool.maxSize };
}

/** Sets the time-outs for one transaction where a connection pooler makes session settings unreliable. */
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
 * A client that closes itself unless it is set up in time: Sequelize leaks connections that it could not set up, and a slow
 * server would accumulate them.
 */
abstract class PooledClient extends SessionClient {
  /** Sequelize's mark of a connection that must not be used again; set when a query timed out. */
  declare _invalid?: boolean;
  /** The session's backend process, as reported at startup. */
  declare readonly processID: number | null;
  /** True behind a connection pooler: statements may run in other sessions than the one that was opened. */
  isPooled = false;

  protected abstract readonly deadline: NodeJS.Timeout;
  /** Milliseconds for a statement, and for an idle transaction. */
  abstract readonly timeouts: readonly [string, string];
  protected abstract readonly onWriteRefused: () => void;

  constructor(config?: pg.ClientConfig) {
    super(config);
    // Sequelize adds its own listener too late, and an unhandled 'error' event ends the process. The next query on this
    // connection fails anyway.
    this.on('error', () => (this['_invalid'] = true));
    this.connection.on('errorMessage', ({ code }: { readonly code?: string }) => {
      // For missing privileges or exhausted transaction ids a new session would not help.
      if (isReadOnlyServer(code)) this['_invalid'] = true;
      if (mayRefuseWrites(code)) this.onWriteRefused();
    });
  }

  /**
   * Sets the session's time-outs, unless a pooler runs the statement in another session, which other clients share.
   * @param settings a statement that makes further settings of such a session.
   */
  async setUp(settings?: string): Promise<void> {
    const { rowCount } = await this.query(`${SET_TIMEOUTS} where pg_backend_pid() = $4`, [
      ...this.timeouts,
      false,
      this.processID,
    ]);
    this.isPooled = rowCount === 0;
    if (settings !== undefined && !this.isPooled) await this.query(settings);
    clearTimeout(this.deadline);
  }

  destroySocket(): void {
    this.connection.stream.destroy();
  }

  /** Closes the connection, at the latest when the server has not answered for half a second. */
  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | void {
    setTimeout(() => this.destroySocket(), CLOSE_TIMEOUT_MS).unref();
    return callback ? super.end(callback) : super.end();
  }
}

/**
 * Sequelize only marks an invalid connection and still sends a rollback on it, which would wait for another time-out.
 * With the socket destroyed that fails at once, and the server rolls back when it notices.
 */
function setUpConnections(database: Database): void {
  database.addHook('afterConnect', (connection) => (connection as PooledClient).setUp());
  database.addHook('afterQuery', (_options, query) => {
    const client = query.connection as PooledClient;
    if (client['_invalid']) client.destroySocket();
  });
}
