import type { MigrationSteps } from './migration.js';

/** An index for the search of suppressed addresses by their beginning, as those of users and admins have. */
export const migration: MigrationSteps = {
  up: `
    -- For prefixes: with a linguistic collation these cannot be found by the primary key.
    create index suppressions_prefix on suppressions (email_canonical text_pattern_ops);
  `,
  down: `
    drop index suppressions_prefix;
  `,
};
