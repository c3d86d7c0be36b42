import type { MigrationSteps } from './migration.js';

/**
 * Drops the indexes in whose place 0011 has made others. None is unique, so no running release breaks: its statements find the
 * same rows by the new ones, or, when it purges confirmations, in the table itself.
 */
export const migration: MigrationSteps = {
  up: `
    drop index sessions_live;
    drop index confirmations_expires;
    drop index outbox_recipient;
  `,
  down: `
    create index outbox_recipient on outbox (lower(recipient));
    create index confirmations_expires on confirmations (expires_at);
    create index sessions_live on sessions (admin_id) where ended_at is null;
  `,
};
