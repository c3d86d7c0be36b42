import {
  ConnectionError,
  DatabaseError,
  ForeignKeyConstraintError,
  TimeoutError,
  UniqueConstraintError,
} from 'sequelize';
import { isConflict, isUnavailable, refusesWrites, type Reported } from './sql-states.js';

/** What the client says when it is not the server that speaks. */
const UNAVAILABLE_MESSAGE =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|is not queryable|ECONN|EPIPE|ConnectionManager/i;

/** True when PostgreSQL could not be reached or could not answer now, so that the same request may work later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  if (!(error instanceof Error)) return false;
  const reported = reportedBy(error);
  return reported ? isUnavailable(reported) : UNAVAILABLE_MESSAGE.test(causeOf(error).message);
}

/**
 * What a PostgreSQL that was reached does not do, for an operator: nothing of what it said. Undefined when it was not it
 * that answered.
 */
export function refusalOfDatabase(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const reported = reportedBy(error);
  if (!reported) return undefined;
  if (refusesWrites(reported)) return 'refuses writes';
  return error instanceof ConnectionError
    ? `refuses connections (${reported.state})`
    : `refuses statements (${reported.state})`;
}

/** True when the transaction was rolled back in favour of another, so that the same may work at once. */
export function hasLostConflict(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  return isConflict(reportedBy(error)?.state ?? '');
}

/** True when the database refused a row because of the foreign key, unique constraint or unique index of this name. */
export function violates(error: unknown, constraint: string): boolean {
  if (!(error instanceof UniqueConstraintError || error instanceof ForeignKeyConstraintError))
    return false;
  const parent: unknown = error.parent;
  return (
    typeof parent === 'object' &&
    parent !== null &&
    'constraint' in parent &&
    parent.constraint === constraint
  );
}

/** What fails while a connection is set up comes as the driver threw it: Sequelize wraps only what comes after. */
const causeOf = (error: Error): Error =>
  error instanceof DatabaseError || error instanceof ConnectionError ? error.parent : error;

/** What the server itself reported: only such an error bears a severity. */
function reportedBy(error: Error): Reported | undefined {
  const cause = causeOf(error);
  if (!('severity' in cause && 'code' in cause) || typeof cause.code !== 'string') return undefined;
  const sql = error instanceof DatabaseError ? error.sql : '';
  return { state: cause.code, severity: String(cause.severity), sql };
}
