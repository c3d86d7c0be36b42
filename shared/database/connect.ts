import 'reflect-metadata';
import type { Duplex } from 'node:stream';
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
  readonly ssl: false | { readonly rejectUnauthorized: boolean; readonly ca?: string };
}

const CONNECT_TIMEOUT_MS = 1_500;
const ACQUIRE_TIMEOUT_MS = 2_000;
/** The server gives up first: the client's own limit is for a server that no longer answers. */
const STATEMENT_TIMEOUT_MS = 2_000;
const QUERY_TIMEOUT_MS = 2_300;
/** A server that does not take leave is left without. */
const GOODBYE_TIMEOUT_MS = 500;

/** A pool of connections with the models bound to it. */
export type Database = Sequelize;

/**
 * Opens the pool; connects lazily. With PostgreSQL gone every query and every transaction fails within three seconds
 * instead of waiting: the time-outs bound connecting, waiting for a connection, and a connection that has silently
 * died, which is never used again. Closing waits for no server either.
 */
export function openDatabase(config: DatabaseConfig, applicationName: string): Database {
  const database = new Sequelize({
    dialect: 'postgres',
    host: config.host,
    port: config.port,
    database: config.name,
    username: config.user,
    password: config.password,
    models,
    logging: false,
    pool: { max: config.poolMax, min: 0, idle: 10_000, acquire: ACQUIRE_TIMEOUT_MS },
    retry: { max: 0 },
    dialectOptions: {
      application_name: applicationName,
      ssl: config.ssl,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: 10_000,
    },
  });
  hangUpOnSilence(database);
  return database;
}

/** What is used of Sequelize's connection, which is a client of `pg`. */
interface Connection {
  /** Sequelize's mark of a connection that must not be used again; set when a query was not answered in time. */
  readonly _invalid?: boolean;
  readonly connection: { readonly stream: Duplex };
}

/**
 * Sequelize only marks a connection on which a query was not answered: it would still roll back on it, and so wait once
 * more. Cut off, whatever else is asked on it fails at once, and the server ends the transaction when it finds out.
 */
function hangUpOnSilence(database: Database): void {
  database.addHook('afterQuery', (_options, { connection }) => {
    const client = connection as unknown as Connection;
    if (client['_invalid']) client.connection.stream.destroy();
  });
  database.addHook('beforeDisconnect', (connection) => {
    const { stream } = (connection as Connection).connection;
    setTimeout(() => stream.destroy(), GOODBYE_TIMEOUT_MS).unref();
  });
}
