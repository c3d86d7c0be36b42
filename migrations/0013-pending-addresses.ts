import type { MigrationSteps } from './migration.js';

/** An index of the few admins that wait for a new address to be confirmed, for the purge of those that wait in vain. */
export const migration: MigrationSteps = {
  up: `
    create index admins_pending_email on admins (id) where pending_email is not null;
  `,
  down: `
    drop index admins_pending_email;
  `,
};
