/** What the API and the command line write. */
const WRITTEN_TABLES =
  'admins, registrations, users, sessions, confirmations, outbox, suppressions';
/** What they only read: the worker writes it, or the migrations do. */
const READ_TABLES = 'deliveries, mail_events, schema_migrations';

/**
 * What the API's role in PostgreSQL needs: rows, and no tables. What the audit holds it can neither change nor delete.
 * The tables are named one by one, since a grant on all of them, or by default, would open the months of the audit.
 * Run by the role that migrates, which owns the tables, and again after a migration that adds one.
 */
export const databaseGrants = (role: string): readonly string[] => [
  `grant usage on schema public to ${role}`,
  `grant select, insert, update, delete on ${WRITTEN_TABLES} to ${role}`,
  `grant select, insert on audit_events to ${role}`,
  `grant select on ${READ_TABLES} to ${role}`,
  `grant usage on all sequences in schema public to ${role}`,
];

/** The rules of a user of Redis (`ACL SETUSER NAME on >PASSWORD …`): our keys alone, and nothing that administers. */
export const redisRules: readonly string[] = [
  '~{mail}:*',
  '~{logs}:*',
  '~{throttle}:*',
  '+@all',
  '-@admin',
  '-@dangerous',
  '+info',
];
