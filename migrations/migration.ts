/**
 * One step of the schema, each way in one transaction. Expand only: `up` adds, and what it adds must be harmless to
 * the release that runs beside it during a rolling deployment. What a release no longer needs is dropped by a later one.
 */
export interface Migration {
  readonly name: string;
  /** Why the release before this one must be stopped first; only before the first release. */
  readonly breaks?: string;
  readonly up: string;
  readonly down: string;
}
