import { sendConfirmationMail } from './send-confirmation-mail.js';
import { sendSecurityNotice } from './send-security-notice.js';

export { sendConfirmationMail } from './send-confirmation-mail.js';
export { sendSecurityNotice, type SecurityNotice } from './send-security-notice.js';
export { shipLogBatch } from './ship-log-batch.js';

/** The jobs that are promised through the outbox: every mail is one. */
export const outboxContracts = [sendConfirmationMail, sendSecurityNotice] as const;

/** A job that is promised through the outbox. */
export type OutboxContract = (typeof outboxContracts)[number];
