import {
  ConnectionError,
  DatabaseError,
  ForeignKeyConstraintError,
  TimeoutError,
  UniqueConstraintError,
} from 'sequelize';

/** SQLSTATE classes and codes that say "not now" rather than "wrong": PostgreSQL manual, appendix A. */
const UNAVAILABLE_SQLSTATE = /^(08|53|57P0|55P03|57014|25P03|40)/;
/** A deadlock, or a serialization failure: one of two transactions had to give way. */
const CONFLICT_SQLSTATE: ReadonlySet<string> = new Set(['40P01', '40001']);
/** What the client says when it is not the server that speaks. */
const UNAVAILABLE_MESSAGE =
  /Connection terminated|timeout exceeded when trying to connect|Query read timeout|is not queryable|ECONN|EPIPE|ConnectionManager/i;

/** True when PostgreSQL could not be reached or could not answer now, so that the same request may work later. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  if (!(error instanceof Error)) return false;
  // What fails while a connection is set up comes as the driver threw it: Sequelize wraps only what comes after.
  const cause = error instanceof DatabaseError ? error.parent : error;
  const state = sqlState(cause);
  return state === undefined
    ? UNAVAILABLE_MESSAGE.test(cause.message)
    : UNAVAILABLE_SQLSTATE.test(state);
}

/** True when the transaction was rolled back in favour of another, so that the same may work at once. */
export function hasLostConflict(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  return CONFLICT_SQLSTATE.has(sqlState(error.parent) ?? '');
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

/** The code of an error that the server itself reported: only these bear a severity. */
function sqlState(error: Error): string | undefined {
  if (!('severity' in error && 'code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
