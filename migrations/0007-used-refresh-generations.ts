import type { MigrationSteps } from './migration.js';

/** What tells an answer that was lost, or a second tab, from a refresh token that was stolen. */
export const migration: MigrationSteps = {
  up: `
    alter table sessions add column used_generation integer not null default 0;
    alter table sessions add column earlier_rotations timestamptz[] not null default '{}';
    -- Whether the tokens of these were used was not recorded: as before, their predecessors are good for ten seconds.
    update sessions set used_generation = refresh_generation where ended_at is null and refresh_generation > 0;
  `,
  down: `
    alter table sessions drop column earlier_rotations;
    alter table sessions drop column used_generation;
  `,
};
