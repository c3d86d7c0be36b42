import type pg from 'pg';
import { ConnectionError } from 'sequelize';

/**
 * A statement for the paths where building a query and its models would cost more than the query: written by hand, parsed and
 * planned once per connection. Its text never changes; what varies is in the values.
 */
export interface Statement {
  /** Unique: names the prepared statement on its connections. */
  readonly name: string;
  readonly text: string;
}

/** Runs statements on connections of their own, each statement in a transaction of its own. */
export interface Statements {
  /** @throws the driver's error; {@link ConnectionError} when there is no connection. */
  run<Row extends pg.QueryResultRow>(
    statement: Statement,
    values: readonly unknown[],
  ): Promise<Row[]>;
  /** Safe twice. */
  close(): Promise<void>;
}

/** A client of the pool, with what decides how it may be used. */
export interface StatementClient extends pg.PoolClient {
  /** True behind a connection pooler: a prepared statement may be missing in the session that runs it. */
  readonly isPooled: boolean;
  /** True when the connection must not be used again. */
  readonly _invalid?: boolean;
  destroySocket(): void;
}

/** Statements on a pool whose clients are {@link StatementClient}s. */
export function createStatements(pool: pg.Pool): Statements {
  let closed: Promise<void> | undefined;
  return {
    run: (statement, values) => run(pool, statement, values),
    close: () => (closed ??= pool.end()),
  };
}

/** @throws {ConnectionError} as Sequelize does, whose errors are distinguished everywhere else. */
async function connect(pool: pg.Pool): Promise<StatementClient> {
  try {
    return (await pool.connect()) as StatementClient;
  } catch (error) {
    throw new ConnectionError(error as Error);
  }
}

async function run<Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  { name, text }: Statement,
  values: readonly unknown[],
): Promise<Row[]> {
  const client = await connect(pool);
  let isUsable = false;
  try {
    const result = await client.query<Row>({
      ...(!client.isPooled && { name }),
      text,
      values: [...values],
    });
    isUsable = true;
    return result.rows;
  } catch (error) {
    // Without its text nobody could tell a refused write from a refused read.
    if (error instanceof Error) Object.assign(error, { sql: text });
    // An error that the server reported leaves the connection in order; a time-out does not.
    isUsable = error instanceof Error && 'severity' in error;
    // Otherwise closing would wait for a server that does not answer; the next query fails anyway.
    if (!isUsable) client.destroySocket();
    throw error;
  } finally {
    client.release(!isUsable || client['_invalid'] === true);
  }
}
