import { queueNames, queuePrefix } from '../../shared/queues/registry.js';

/** Tables that the API and the command line write. */
const WRITTEN_BY_API =
  'admins, registrations, users, sessions, confirmations, outbox, suppressions, ' +
  'processes, metric_minutes, task_runs, bulk_actions, alerts, alert_notices, heartbeats';
/** Tables that they only read: the worker or the migrations write them. */
const READ_BY_API = 'deliveries, mail_events, schema_migrations';

/**
 * The grants that the API's role in PostgreSQL needs: no DDL, and neither update nor delete on the audit trail. Tables are
 * named one by one, since a grant on all tables, or by default, would include the audit's monthly partitions. Run by the
 * role that migrates, which owns the tables, and again after a migration that adds one.
 */
export const apiGrants = (role: string): readonly string[] => [
  `grant usage on schema public to ${role}`,
  `grant select, insert, update, delete on ${WRITTEN_BY_API} to ${role}`,
  `grant select, insert on audit_events to ${role}`,
  `grant select on ${READ_BY_API} to ${role}`,
  `grant usage on all sequences in schema public to ${role}`,
];

/** What a worker may change of a message: not what is sent, and not to whom. */
const DELIVERY_COLUMNS =
  'state, outcome, generation, attempts, unanswered, enqueue_count, available_at, enqueued_at, checked_at, ' +
  'claimed_until, settled_at, given_up_at, last_error, template';

/**
 * The grants that the worker's role needs: no DDL, no password hash, no token, no user. It deletes rows that have expired, and
 * for that must be able to lock them, which takes the right to update any one column: where it updates nothing, the key. The
 * months of the audit are made and dropped by functions.
 */
export const workerGrants = (role: string): readonly string[] => [
  `grant usage on schema public to ${role}`,
  `grant select, update (${DELIVERY_COLUMNS}), delete on outbox to ${role}`,
  `grant select, insert, update on deliveries to ${role}`,
  `grant select, insert, update (id), delete on mail_events to ${role}`,
  `grant select, insert, update, delete on suppressions to ${role}`,
  `grant select, update (superseded_at), delete on confirmations to ${role}`,
  `grant select (id, name, email, email_canonical, pending_email, updated_at), update (pending_email, updated_at) on admins to ${role}`,
  `grant select (id, email_canonical, created_at), update (id), delete on registrations to ${role}`,
  `grant select (id, ended_at, expires_at), update (id), delete on sessions to ${role}`,
  `grant select (id, created_at, finished_at), update (id), delete on bulk_actions to ${role}`,
  `grant select, insert, update, delete on processes, metric_minutes, alerts to ${role}`,
  `grant select, insert, update on task_runs, alert_notices, heartbeats to ${role}`,
  `grant select, insert on audit_events to ${role}`,
  `grant select on schema_migrations to ${role}`,
  `grant usage on sequence deliveries_id_seq to ${role}`,
  `grant execute on function prepare_audit_month(integer), drop_old_audit_months() to ${role}`,
];

/** The ACL rules of the Redis user (`ACL SETUSER NAME on >PASSWORD …`): our keys only, and no administration. */
export const redisRules: readonly string[] = [
  ...queueNames.map((name) => `~${queuePrefix(name)}:*`),
  '~{throttle}:*',
  '+@all',
  '-@admin',
  '-@dangerous',
  '+info',
];
