import type pg from 'pg';

/**
 * One step of the schema, each way in one transaction. Expand only: `up` adds, and what it adds must be harmless to
 * the release that runs beside it during a rolling deployment. What a release no longer needs is dropped by a later one.
 */
export interface Migration {
  readonly name: string;
  /** Why the release before this one must be stopped first; only before the first release. */
  readonly breaks?: string;
  readonly up: string;
  /** Runs after `up`, in its transaction: for values that only code can work out. */
  readonly backfill?: (client: pg.ClientBase) => Promise<void>;
  readonly down: string;
}
