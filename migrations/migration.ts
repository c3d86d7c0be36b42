import type pg from 'pg';

/**
 * What a file `NNNN-name.ts` of this folder exports as `migration`: one step of the schema, each way in one transaction.
 * Expand only: `up` adds, and what it adds must not break the release that runs beside it during a rolling deployment.
 * What a release no longer needs is dropped by a later one; an index that is not unique, as soon as another replaces it.
 */
export interface MigrationSteps {
  /** Why the release before this one must be stopped first; only before the first release. */
  readonly breaks?: string;
  readonly up: string;
  /** Runs after `up`, in its transaction: for values that only code can compute. */
  readonly backfill?: (client: pg.ClientBase) => Promise<void>;
  readonly down: string;
}

/** A migration under the name that `schema_migrations` records, which is its file's name. */
export interface Migration extends MigrationSteps {
  readonly name: string;
}
