import { v7 as uuidv7 } from 'uuid';
import type { Transaction } from '../database/transaction.js';
import type { Logger } from '../logging/logger.js';
import { AuditEvent, type AuditEventName } from '../models/index.js';

/** What caused an event: a request, or a command of an operator. */
export interface Cause {
  readonly traceId: string;
  /** The server's own id of the request, whatever ids its client chose: 16 hexadecimal digits. */
  readonly spanId?: string | undefined;
  readonly requestId?: string | undefined;
  readonly ip?: string | undefined;
  readonly userAgent?: string | undefined;
  /** Who gave the command. Requests have none: theirs is the admin. */
  readonly actor?: string | undefined;
}

/** Whom an event is about, and what else is worth knowing. No addresses, tokens or passwords. */
export interface AuditFacts {
  readonly adminId?: number | undefined;
  readonly sessionId?: number | undefined;
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** What marks the line that says that a process is up: an event without an admin, told and not kept. */
export const startupEvent = {
  'event.kind': 'event',
  'event.category': 'process',
  'event.action': 'sys_startup',
  'event.outcome': 'success',
} as const;

/** The record of security events: a row for good, and a log line for whoever watches. */
export interface Audit {
  /**
   * Writes the row in the given transaction, or in none; the line follows once that is committed, so that what was
   * rolled back is not told.
   */
  record(event: AuditEventName, cause: Cause, facts: AuditFacts, tx?: Transaction): Promise<void>;
}

export function createAudit(log: Logger): Audit {
  return {
    async record(event, cause, { adminId, sessionId, details: told = {} }, tx) {
      const { requestId, traceId, ip, actor } = cause;
      const details = { ...told, ...(actor !== undefined && { actor }) };
      const subject = { adminId: adminId ?? null, sessionId: sessionId ?? null };
      const origin = { requestId: requestId ?? null, traceId, ip: ip ?? null };
      await AuditEvent.create(
        { id: uuidv7(), event, ...subject, ...origin, details },
        tx ? { transaction: tx } : {},
      );
      const tell = (): void => logEvent(log, event, cause, { adminId, sessionId, details });
      if (tx) tx.afterCommit(tell);
      else tell();
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
