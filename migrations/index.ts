import { accountsAndOutbox } from './0001-accounts-and-outbox.js';
import { accountLife } from './0002-account-life.js';
import type { Migration } from './migration.js';

/** Every migration, oldest first. */
export const migrations: readonly Migration[] = [accountsAndOutbox, accountLife];
