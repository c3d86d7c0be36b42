import type { MigrationSteps } from './migration.js';

/**
 * The operator role, and the audit trail, partitioned by month so that an old month is dropped as a whole instead of row by
 * row. Rows outside of the prepared months go to the default partition.
 */
export const migration: MigrationSteps = {
  up: `
    alter table admins add column operator_since timestamptz;
    alter table sessions add column network text;
    create index sessions_admin_network on sessions (admin_id, network);

    create table audit_events (
      id uuid not null,
      at timestamptz not null default now(),
      event text not null,
      admin_id integer,
      session_id integer,
      request_id text,
      trace_id text,
      ip text,
      details jsonb not null default '{}',
      primary key (id, at)
    ) partition by range (at);
    create index audit_events_admin on audit_events (admin_id, at);
    create index audit_events_event on audit_events (event, at);
    create table audit_events_default partition of audit_events default;
  `,
  down: `
    drop table audit_events;
    drop index sessions_admin_network;
    alter table sessions drop column network;
    alter table admins drop column operator_since;
  `,
};
