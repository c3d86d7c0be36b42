import type { MigrationSteps } from './migration.js';

/** Distinguishes a lost response or a second tab from a stolen refresh token. */
export const migration: MigrationSteps = {
  up: `
    alter table sessions add column used_generation integer not null default 0;
    alter table sessions add column earlier_rotations timestamptz[] not null default '{}';
    -- Whether these tokens were used was not recorded: as before, their predecessors stay valid for ten seconds.
    update sessions set used_generation = refresh_generation where ended_at is null and refresh_generation > 0;
  `,
  down: `
    alter table sessions drop column earlier_rotations;
    alter table sessions drop column used_generation;
  `,
};
