import type { MigrationSteps } from './migration.js';

/** Refresh tokens that rotate, sessions that say why they ended, and e-mail addresses that wait to be confirmed. */
export const migration: MigrationSteps = {
  up: `
    alter table sessions add column rotated_at timestamptz;
    alter table sessions add column ended_reason text;
    alter table admins add column pending_email text;
  `,
  down: `
    alter table admins drop column pending_email;
    alter table sessions drop column ended_reason;
    alter table sessions drop column rotated_at;
  `,
};
