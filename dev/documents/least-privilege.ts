/** Tables that the API and the command line write. */
const WRITTEN_TABLES =
  'admins, registrations, users, sessions, confirmations, outbox, suppressions, ' +
  'processes, metric_minutes, task_runs, bulk_actions, alerts, alert_notices, heartbeats';
/** Tables that they only read: the worker or the migrations write them. */
const READ_TABLES = 'deliveries, mail_events, schema_migrations';

/**
 * The grants that the API's role in PostgreSQL needs: no DDL, and neither update nor delete on the audit trail. Tables are
 * named one by one, since a grant on all tables, or by default, would include the audit's monthly partitions. Run by the
 * role that migrates, which owns the tables, and again after a migration that adds one.
 */
export const databaseGrants = (role: string): readonly string[] => [
  `grant usage on schema public to ${role}`,
  `grant select, insert, update, delete on ${WRITTEN_TABLES} to ${role}`,
  `grant select, insert on audit_events to ${role}`,
  `grant select on ${READ_TABLES} to ${role}`,
  `grant usage on all sequences in schema public to ${role}`,
];

/** The ACL rules of the Redis user (`ACL SETUSER NAME on >PASSWORD …`): our keys only, and no administration. */
export const redisRules: readonly string[] = [
  '~{mail}:*',
  '~{logs}:*',
  '~{throttle}:*',
  '+@all',
  '-@admin',
  '-@dangerous',
  '+info',
];
