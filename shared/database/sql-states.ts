/** Codes of PostgreSQL's errors (SQLSTATE): PostgreSQL manual, appendix A. */

/**
 * "Not now" rather than "wrong": the connection (08), a transaction that gave way (40), a server without memory, disk,
 * connections (53) or time for this (57014, 55P03, 25P03, 25P04), one that stops or starts (57P0x), that is read-only
 * (25006: a standby, or a managed one whose disk is full) or whose system fails it (58000, 58030).
 */
const UNAVAILABLE = /^(?:08|40|53|57P0|57014|55P03|25P03|25P04|25006|58000|58030)/;
/** It answers and reads, but does not write: read-only, its disk full or failing. */
const REFUSES_WRITES: ReadonlySet<string> = new Set(['25006', '53100', '58030']);
/** A deadlock, or a serialization failure: one of two transactions had to give way. */
const CONFLICT: ReadonlySet<string> = new Set(['40P01', '40001']);

export const isUnavailable = (state: string): boolean => UNAVAILABLE.test(state);
export const refusesWrites = (state: string | undefined): boolean =>
  state !== undefined && REFUSES_WRITES.has(state);
export const isConflict = (state: string): boolean => CONFLICT.has(state);
