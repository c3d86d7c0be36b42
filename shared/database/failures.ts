import { ConnectionError, DatabaseError, TimeoutError, UniqueConstraintError } from 'sequelize';
import { messageOf } from '../errors/message-of.js';
import {
  describeState,
  isConflict,
  isRestarting,
  isUnavailable,
  refusesWrites,
  type Reported,
} from './sql-states.js';

/** Messages of the client's own errors, which have no code. */
const UNAVAILABLE_MESSAGE =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|is not queryable|ECONN|EPIPE|ConnectionManager/i;

/** Data exception, constraint violation, conflict, lock not available, query cancelled. */
const CONCERNS_ROWS = /^(?:22|23|40)|^(?:55P03|57014)$/;

/** True when PostgreSQL could not be reached or could not answer now, so that the same request may work later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  if (!(error instanceof Error)) return false;
  const reported = reportedBy(error);
  return reported ? isUnavailable(reported) : UNAVAILABLE_MESSAGE.test(messageOf(causeOf(error)));
}

/** What a reachable PostgreSQL refuses. */
export interface DatabaseRefusal {
  /** None for a server that is starting or shutting down. */
  readonly kind?: 'refuses_writes' | 'refuses_connections' | 'refuses_statements';
  /** In words for an operator, without the server's own message. */
  readonly problem: string;
}

/** `undefined` when the error did not come from the server. */
export function refusalOfDatabase(error: unknown): DatabaseRefusal | undefined {
  if (!(error instanceof Error)) return undefined;
  const reported = reportedBy(error);
  if (!reported) return undefined;
  const { state } = reported;
  if (refusesWrites(reported)) return { kind: 'refuses_writes', problem: 'refuses writes' };
  if (isRestarting(state)) return { problem: `is starting or shutting down: ${state}` };
  return error instanceof ConnectionError
    ? { kind: 'refuses_connections', problem: `refuses connections: ${describeState(state)}` }
    : { kind: 'refuses_statements', problem: `refuses statements: ${describeState(state)}` };
}

/** True after a deadlock or serialization failure: the same transaction may succeed when it is run again. */
export function hasLostConflict(error: unknown): boolean {
  return error instanceof Error && isConflict(reportedBy(error)?.state ?? '');
}

/**
 * True when the server refused a statement for what one of its rows holds, or that row was locked for too long (which ends as
 * a statement that took too long): the other rows may be accepted. Not for what would refuse each of them.
 */
export function mayConcernOneRow(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const reported = reportedBy(error);
  return reported !== undefined && CONCERNS_ROWS.test(reported.state);
}

/** True when the database refused a row because of the foreign key, unique constraint or unique index of this name. */
export function violates(error: unknown, constraint: string): boolean {
  if (!(error instanceof Error)) return false;
  const cause = error instanceof UniqueConstraintError ? error.parent : causeOf(error);
  return 'constraint' in cause && cause.constraint === constraint;
}

/** Sequelize wraps the driver's errors only once a connection is set up. */
const causeOf = (error: Error): Error =>
  error instanceof DatabaseError || error instanceof ConnectionError ? error.parent : error;

/** The server's own report, if there is one: only such errors have a severity. */
function reportedBy(error: Error): Reported | undefined {
  const cause = causeOf(error);
  if (!('severity' in cause && 'code' in cause) || typeof cause.code !== 'string') return undefined;
  const sql = 'sql' in error && typeof error.sql === 'string' ? error.sql : '';
  return { state: cause.code, severity: String(cause.severity), sql };
}
