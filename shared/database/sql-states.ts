/** Codes of PostgreSQL's errors (SQLSTATE): PostgreSQL manual, appendix A. */

/**
 * "Not now" rather than "wrong": the connection (08), a transaction that gave way (40), a server without memory, disk,
 * connections (53) or time for this (57014, 55P03, 25P03, 25P04), one that stops or starts (57P0x), that is read-only
 * (25006: a standby, or a managed one whose disk is full), out of transaction ids (54000) or whose system fails it
 * (58000, 58030).
 */
const UNAVAILABLE = /^(?:08|40|53|57P0|57014|55P03|25P03|25P04|25006|54000|58000|58030)/;
/** It answers and reads, but does not write: read-only, its disk full or failing. Another server may do so. */
const READ_ONLY: ReadonlySet<string> = new Set(['25006', '53100', '58030']);
/** It takes no command that needs a new transaction id, for fear of wraparound. */
const OUT_OF_IDS = '54000';
/** A right is missing: of a write, providers have taken it back because a plan's limit is passed. */
const NO_RIGHT = '42501';
/** An internal error. Poolers report theirs by it, and then end the connection. */
const INTERNAL = 'XX000';
/** A deadlock, or a serialization failure: one of two transactions had to give way. */
const CONFLICT: ReadonlySet<string> = new Set(['40P01', '40001']);

/** An error as the server has reported it. */
export interface Reported {
  readonly state: string;
  readonly severity: string;
  /** The statement, where it is known. */
  readonly sql: string;
}

export const isUnavailable = (reported: Reported): boolean =>
  UNAVAILABLE.test(reported.state) ||
  (reported.state === INTERNAL && reported.severity === 'FATAL') ||
  refusesWrites(reported);

/** True when the server answers and reads, but does not take this write. */
export const refusesWrites = ({ state, sql }: Reported): boolean =>
  READ_ONLY.has(state) || state === OUT_OF_IDS || (state === NO_RIGHT && isWrite(sql));

/** Rows are locked with the right to change them. */
const isWrite = (sql: string): boolean => /\b(?:insert|update|delete)\b/i.test(sql);

/** True when a session in another place may write: this one may be left on a server that was demoted. */
export const isReadOnlyServer = (state: string | undefined): boolean =>
  state !== undefined && READ_ONLY.has(state);

/** True when a write may have been refused, of whatever session: what is seen of a single answer, without its statement. */
export const mayRefuseWrites = (state: string | undefined): boolean =>
  isReadOnlyServer(state) || state === OUT_OF_IDS || state === NO_RIGHT;

export const isConflict = (state: string): boolean => CONFLICT.has(state);
