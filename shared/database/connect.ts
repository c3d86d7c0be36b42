import 'reflect-metadata';
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

const CONNECT_TIMEOUT_MS = 2_000;
const ACQUIRE_TIMEOUT_MS = 2_500;
/** The server gives up first: the client's own limit is for a server that no longer answers. */
const STATEMENT_TIMEOUT_MS = 2_000;
const QUERY_TIMEOUT_MS = 2_500;

/** A pool of connections with the models bound to it. */
export type Database = Sequelize;

/**
 * Opens the pool; connects lazily. With PostgreSQL gone every query fails within three seconds instead of waiting:
 * the time-outs bound connecting, waiting for a connection, and a connection that has silently died.
 */
export function openDatabase(config: DatabaseConfig, applicationName: string): Database {
  return new Sequelize({
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
}
