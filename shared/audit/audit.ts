import { v7 as uuidv7 } from 'uuid';
import type { Transaction } from '../database/transaction.js';
import type { Logger } from '../logging/logger.js';
import { AuditEvent, type AuditEventName } from '../models/index.js';

/** The origin of an event: a request, or an operator's command. */
export interface Cause {
  readonly traceId: string;
  /** The server's own id of the request, which clients cannot choose: 16 hexadecimal digits. */
  readonly spanId?: string | undefined;
  readonly requestId?: string | undefined;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  /** Who ran the command; requests have none, their actor is the admin. */
  readonly actor?: string | undefined;
}

/** The subject of an event and its details. No addresses, tokens or passwords. */
export interface AuditFacts {
  readonly adminId?: number | undefined;
  readonly sessionId?: number | undefined;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** Log fields of the event that a process has started, which is logged and not stored. */
export const startupEvent = {
  'event.kind': 'event',
  'event.category': 'process',
  'event.action': 'sys_startup',
  'event.outcome': 'success',
} as const;

/** Records security events: each as a row of `audit_events` and as a log line. */
export interface Audit {
  /**
   * Writes the row, in the transaction if one is given. The line is logged after the commit, so that nothing is logged that
   * was rolled back.
   */
  record(event: AuditEventName, cause: Cause, facts: AuditFacts, tx?: Transaction): Promise<void>;
}

export function createAudit(log: Logger): Audit {
  return {
    async record(event, cause, { adminId, sessionId, details: given = {} }, tx) {
      const { requestId, traceId, ip, actor } = cause;
      const details = { ...given, ...(actor !== undefined && { actor }) };
      const subject = { adminId: adminId ?? null, sessionId: sessionId ?? null };
      const origin = { requestId: requestId ?? null, traceId, ip: ip ?? null };
      await AuditEvent.create(
        { id: uuidv7(), event, ...subject, ...origin, details },
        tx ? { transaction: tx } : {},
      );
      const logIt = (): void => logEvent(log, event, cause, { adminId, sessionId, details });
      if (tx) tx.afterCommit(logIt);
      else logIt();
    },
  };
}

const FAILURE = /_fail$|_lock$|_reuse$|^excess_/;

function logEvent(log: Logger, event: AuditEventName, cause: Cause, facts: AuditFacts): void {
  const isFailure = FAILURE.test(event);
  log[isFailure ? 'warn' : 'info'](
    {
      'event.kind': 'event',
      'event.category': 'authentication',
      'event.action': event,
      'event.outcome': isFailure ? 'failure' : 'success',
      'http.request.id': cause.requestId,
      'trace.id': cause.traceId,
      'span.id': cause.spanId,
      'client.ip': cause.ip,
      ...(facts.adminId !== undefined && { 'user.id': String(facts.adminId) }),
      ...Object.fromEntries(
        Object.entries(facts.details ?? {}).map(([name, value]) => [`labels.${name}`, value]),
      ),
    },
    'security event',
  );
}
