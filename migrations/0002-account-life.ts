import type { MigrationSteps } from './migration.js';

/** Rotating refresh tokens, reasons why sessions ended, and e-mail addresses pending confirmation. */
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
