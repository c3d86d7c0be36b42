/** Codes of PostgreSQL's errors (SQLSTATE): PostgreSQL manual, appendix A. */

/**
 * Temporary failures: the connection (08), transaction rollback (40), out of memory, disk or connections (53), time-outs
 * (57014, 55P03, 25P03, 25P04), shutdown or startup (57P0x), read-only (25006: a standby, or a managed server whose disk is
 * full), out of transaction ids (54000), system errors (58000, 58030).
 */
const UNAVAILABLE = /^(?:08|40|53|57P0|57014|55P03|25P03|25P04|25006|54000|58000|58030)/;
/** Reads work, writes don't: read-only, or the disk is full or failing. Another server may accept writes. */
const READ_ONLY: ReadonlySet<string> = new Set(['25006', '53100', '58030']);
/** Refuses commands that need a new transaction id, to prevent wraparound. */
const OUT_OF_IDS = '54000';
/** Insufficient privilege: for a write, providers revoke it when a plan's limit is exceeded. */
const NO_PRIVILEGE = '42501';
/** Internal error. Connection poolers report their own failures with it and then close the connection. */
const INTERNAL = 'XX000';
/** Admin shutdown, crash shutdown, cannot connect now: the server ends, or starts, or recovers. */
const RESTARTING = /^57P0[123]$/;
/** What a refusal means for an operator. */
const MEANINGS: Readonly<Record<string, string>> = {
  '28000': 'no access for this user or connection',
  '28P01': 'the user or the password is wrong',
  '3D000': 'the database does not exist',
  '42501': 'the user lacks rights',
  '42703': 'the schema is older or newer than the code',
  '42P01': 'the schema is older or newer than the code',
  '53200': 'it has no memory left',
  '53300': 'it has too many connections',
  '55000': 'the database takes no connections',
  '55P03': 'another session holds a lock',
  '57014': 'they take too long',
};
/** Deadlock, serialization failure. */
const CONFLICT: ReadonlySet<string> = new Set(['40P01', '40001']);

/** An error that the server reported. */
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

/** True when the server accepts reads but refused this write. */
export const refusesWrites = ({ state, sql }: Reported): boolean =>
  READ_ONLY.has(state) || state === OUT_OF_IDS || (state === NO_PRIVILEGE && isWrite(sql));

/** `select … for update` counts too: it needs the privilege to update. */
const isWrite = (sql: string): boolean => /\b(?:insert|update|delete)\b/i.test(sql);

/** True when a new session may be able to write: this one may be connected to a demoted primary. */
export const isReadOnlyServer = (state: string | undefined): boolean =>
  state !== undefined && READ_ONLY.has(state);

/** True when the error may be a refused write, judged without its statement. */
export const mayRefuseWrites = (state: string | undefined): boolean =>
  isReadOnlyServer(state) || state === OUT_OF_IDS || state === NO_PRIVILEGE;

export const isRestarting = (state: string): boolean => RESTARTING.test(state);

/** The code, with its meaning where we know one. */
export function describeState(state: string): string {
  const meaning = MEANINGS[state];
  return meaning === undefined ? state : `${state} (${meaning})`;
}

export const isConflict = (state: string): boolean => CONFLICT.has(state);
