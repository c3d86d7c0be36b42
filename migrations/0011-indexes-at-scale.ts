import type { MigrationSteps } from './migration.js';

/**
 * Indexes for tables of millions of rows: an address with very many mails, the purge, the sessions of one admin, and the
 * searches of the console. Those that they replace are dropped by the next migration, as a drop makes reads wait too, until its
 * transaction ends, and these take a second or two for a million rows.
 */
export const migration: MigrationSteps = {
  up: `
    -- All at once, in the order in which requests write to them: no transaction waits for one of them while it holds another.
    lock table admins, users, sessions, confirmations, outbox, suppressions, audit_events in share mode;

    create index outbox_recipient_created on outbox (lower(recipient), created_at);
    -- Not "where confirmed_at is null": on an empty table the planner would choose that for any look-up of open links.
    create index confirmations_unused_expires on confirmations ((case when confirmed_at is null then expires_at end));
    create index sessions_live_by_admin on sessions (admin_id, id) where ended_at is null;
    -- Without the address, by which it would be read as a whole instead of the primary key.
    create index suppressions_created on suppressions (created_at);
    create index audit_events_operator on audit_events ((details->>'operator_id'), id)
      where details->>'operator_id' is not null;

    -- For prefixes: with a linguistic collation these cannot be found by the unique keys.
    create index users_email_prefix on users (email_canonical text_pattern_ops);
    create index users_name_prefix on users (lower(name) text_pattern_ops);
    create index admins_email_prefix on admins (email_canonical text_pattern_ops);
    create index admins_name_prefix on admins (name_canonical text_pattern_ops);
  `,
  down: `
    drop index admins_name_prefix;
    drop index admins_email_prefix;
    drop index users_name_prefix;
    drop index users_email_prefix;
    drop index audit_events_operator;
    drop index suppressions_created;
    drop index sessions_live_by_admin;
    drop index confirmations_unused_expires;
    drop index outbox_recipient_created;
  `,
};
