import { Admin } from './admin.js';
import { AuditEvent, auditEventNames, auditEvents } from './audit-event.js';
import { Confirmation } from './confirmation.js';
import { Delivery } from './delivery.js';
import { MailEvent, WITHDRAWN_COMPLAINT } from './mail-event.js';
import { OutboxMessage } from './outbox-message.js';
import { Registration } from './registration.js';
import { Session } from './session.js';
import { Suppression } from './suppression.js';
import { User } from './user.js';

export {
  Admin,
  AuditEvent,
  auditEventNames,
  auditEvents,
  Confirmation,
  MailEvent,
  OutboxMessage,
  Registration,
  Session,
  Suppression,
  User,
  WITHDRAWN_COMPLAINT,
};
export type { AdminRow } from './admin.js';
export type { AuditEventName } from './audit-event.js';
export type { ConfirmationPurpose } from './confirmation.js';
export type { MailEventType } from './mail-event.js';
export type { Principal, SessionEnd } from './session.js';
export type { SuppressionReason } from './suppression.js';

/** Every model, tables before those that reference them. */
export const models = [
  Admin,
  User,
  Session,
  Registration,
  Confirmation,
  OutboxMessage,
  Delivery,
  AuditEvent,
  MailEvent,
  Suppression,
];
