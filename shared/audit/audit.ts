import { v7 as uuidv7 } from 'uuid';
import { valuesOf, type RowShape } from '../database/insert-rows.js';
import type { Transaction } from '../database/transaction.js';
import type { Logger } from '../logging/logger.js';
import { isVisible } from '../identity/person-name.js';
import { maskTokensAndAddresses } from '../logging/mask.js';
import { AuditEvent, auditEvents, type AuditEventName } from '../models/index.js';

/** The origin of an event: a request, or an operator's command. */
export interface Cause {
  readonly traceId: string;
  /** The server's own id of the request, which clients cannot choose: 16 hexadecimal digits. */
  readonly spanId?: string | undefined;
  /** False when the client does not want it to be traced. */
  readonly isSampled?: boolean | undefined;
  readonly requestId?: string | undefined;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  /** Who ran the command; requests have none, their actor is the admin. */
  readonly actor?: string | undefined;
  /** The operator who acts in the console; its admin's id. */
  readonly operatorId?: number | undefined;
  /** Why an operator acts; see {@link readReason}. */
  readonly reason?: string | undefined;
}

const MAX_REASON = 500;

/** What makes a text look other than it reads: control characters, line ends, bidirectional controls, halves of a character. */
const DISGUISES = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;

/**
 * The reason that an operator gives, without spaces around it, tokens and addresses: the audit outlives the accounts that it
 * is about. Undefined when nothing of it is visible, it is not one plain line, or longer than 500 characters.
 */
export function readReason(text: string): string | undefined {
  if (text.length > MAX_REASON || DISGUISES.test(text) || !isVisible(text)) return undefined;
  return maskTokensAndAddresses(text).trim();
}

/** The subject of an event and its details. No addresses, tokens or passwords. */
export interface AuditFacts {
  readonly adminId?: number | undefined;
  readonly sessionId?: number | undefined;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** Log fields of the event that a process has started, which is logged and not stored. */
export const startupEvent = ({ changedSettings }: { readonly changedSettings: string }) =>
  ({
    'event.kind': 'event',
    'event.category': 'process',
    'event.action': 'sys_startup',
    'event.outcome': 'success',
    'labels.settings': changedSettings,
  }) as const;

/** Columns of a new event, for a statement that also writes what the event is about. */
export const AUDIT_ROW = {
  table: 'audit_events',
  columns: ['id', 'event', 'admin_id', 'session_id', 'request_id', 'trace_id', 'ip', 'details'],
} as const satisfies RowShape;

/** An event that is about to be written. */
export interface NewAuditEvent {
  /** Of {@link AUDIT_ROW}. */
  readonly values: readonly unknown[];
  /** Logs the event. To be called when its row has been committed. */
  committed(): void;
}

/** Records security events: each as a row of `audit_events` and as a log line. */
export interface Audit {
  /**
   * Writes the row, in the transaction if one is given. The line is logged after the commit, so that nothing is logged that
   * was rolled back.
   */
  record(event: AuditEventName, cause: Cause, facts: AuditFacts, tx?: Transaction): Promise<void>;
  /** The same for many subjects of one event, in one statement. */
  recordAll(
    event: AuditEventName,
    cause: Cause,
    subjects: readonly AuditFacts[],
    tx: Transaction,
  ): Promise<void>;
  /** An event whose row the caller's own statement writes. */
  event(event: AuditEventName, cause: Cause, facts: AuditFacts): NewAuditEvent;
}

export function createAudit(log: Logger): Audit {
  return {
    async record(event, cause, facts, tx) {
      const row = newRow(event, cause, facts);
      await AuditEvent.create(row, tx ? { transaction: tx } : {});
      const logIt = (): void => logEvent(log, cause, facts, row);
      if (tx) tx.afterCommit(logIt);
      else logIt();
    },
    async recordAll(event, cause, subjects, tx) {
      const rows = subjects.map((facts) => ({ facts, row: newRow(event, cause, facts) }));
      await AuditEvent.bulkCreate(
        rows.map(({ row }) => row),
        { transaction: tx },
      );
      tx.afterCommit(() => {
        for (const { facts, row } of rows) logEvent(log, cause, facts, row);
      });
    },
    event(event, cause, facts) {
      const row = newRow(event, cause, facts);
      const values = valuesOf(AUDIT_ROW, {
        ...row,
        admin_id: row.adminId,
        session_id: row.sessionId,
        request_id: row.requestId,
        trace_id: row.traceId,
      });
      return { values, committed: () => logEvent(log, cause, facts, row) };
    },
  };
}

function newRow(
  event: AuditEventName,
  { requestId, traceId, ip, actor, operatorId, reason }: Cause,
  { adminId, sessionId, details }: AuditFacts,
) {
  return {
    id: uuidv7(),
    event,
    adminId: adminId ?? null,
    sessionId: sessionId ?? null,
    requestId: requestId ?? null,
    traceId,
    ip: ip ?? null,
    details: {
      ...details,
      ...(actor !== undefined && { actor }),
      ...(operatorId !== undefined && { operator_id: operatorId }),
      ...(reason !== undefined && { reason }),
    },
  };
}

const FAILURE = /_fail$|_lock$|_reuse$|^excess_/;

function logEvent(
  log: Logger,
  cause: Cause,
  { adminId }: AuditFacts,
  { event, details }: Pick<ReturnType<typeof newRow>, 'event' | 'details'>,
): void {
  const isFailure = FAILURE.test(event);
  log[isFailure ? 'warn' : 'info'](
    {
      'event.kind': 'event',
      'event.category': auditEvents[event],
      'event.action': event,
      'event.outcome': isFailure ? 'failure' : 'success',
      'http.request.id': cause.requestId,
      'trace.id': cause.traceId,
      'span.id': cause.spanId,
      'client.ip': cause.ip,
      ...(adminId !== undefined && { 'user.id': String(adminId) }),
      ...Object.fromEntries(
        Object.entries(details).map(([name, value]) => [`labels.${name}`, value]),
      ),
    },
    'security event',
  );
}
