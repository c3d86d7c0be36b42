import { accountsAndOutbox } from './0001-accounts-and-outbox.js';
import { refreshRotation } from './0002-refresh-rotation.js';
import type { Migration } from './migration.js';

/** Every migration, oldest first. */
export const migrations: readonly Migration[] = [accountsAndOutbox, refreshRotation];
