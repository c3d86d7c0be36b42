import type { Migration } from './migration.js';

/** When a session's refresh token was last exchanged, and why a session ended. */
export const refreshRotation: Migration = {
  name: '0002-refresh-rotation',
  up: `
    alter table sessions add column rotated_at timestamptz;
    alter table sessions add column ended_reason text;
  `,
  down: `
    alter table sessions drop column ended_reason;
    alter table sessions drop column rotated_at;
  `,
};
