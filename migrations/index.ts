import { accountsAndOutbox } from './0001-accounts-and-outbox.js';
import { accountLife } from './0002-account-life.js';
import { operatorsAndAudit } from './0003-operators-and-audit.js';
import { mailEvents } from './0004-mail-events.js';
import { registrations } from './0005-registrations.js';
import { uncertainMails } from './0006-uncertain-mails.js';
import { usedRefreshGenerations } from './0007-used-refresh-generations.js';
import { foldedNames } from './0008-folded-names.js';
import type { Migration } from './migration.js';

/** Every migration, oldest first. */
export const migrations: readonly Migration[] = [
  accountsAndOutbox,
  accountLife,
  operatorsAndAudit,
  mailEvents,
  registrations,
  uncertainMails,
  usedRefreshGenerations,
  foldedNames,
];
