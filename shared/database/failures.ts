import {
  ConnectionError,
  DatabaseError,
  ForeignKeyConstraintError,
  TimeoutError,
  UniqueConstraintError,
} from 'sequelize';
import { isConflict, isUnavailable, refusesWrites } from './sql-states.js';

/** What the client says when it is not the server that speaks. */
const UNAVAILABLE_MESSAGE =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|is not queryable|ECONN|EPIPE|ConnectionManager/i;

/** True when PostgreSQL could not be reached or could not answer now, so that the same request may work later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  if (!(error instanceof Error)) return false;
  const cause = causeOf(error);
  const state = sqlState(cause);
  return state === undefined ? UNAVAILABLE_MESSAGE.test(cause.message) : isUnavailable(state);
}

/**
 * What a PostgreSQL that was reached does not do, for an operator: nothing of what it said. Undefined when it was not it
 * that answered.
 */
export function refusalOfDatabase(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const state = sqlState(causeOf(error));
  if (state === undefined) return undefined;
  if (refusesWrites(state)) return 'refuses writes';
  return error instanceof ConnectionError
    ? `refuses connections (${state})`
    : `refuses statements (${state})`;
}

/** True when the transaction was rolled back in favour of another, so that the same may work at once. */
export function hasLostConflict(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  return isConflict(sqlState(error.parent) ?? '');
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

/** The code of an error that the server itself reported: only these bear a severity. */
function sqlState(error: Error): string | undefined {
  if (!('severity' in error && 'code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
