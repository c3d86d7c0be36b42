import type { MigrationSteps } from './migration.js';

/**
 * What operators see and do: the processes that run, counts of each minute, the runs of periodic tasks, actions over many
 * mails, alerts, and sessions of the console.
 */
export const migration: MigrationSteps = {
  up: `
    alter table sessions add column console_hash bytea, add column console_seen_at timestamptz;
    create unique index sessions_console on sessions (console_hash) where console_hash is not null;

    alter table outbox add column redrives integer not null default 0;

    create table processes (
      id uuid primary key,
      service text not null,
      host text not null,
      pid integer not null,
      version text not null,
      roles text[] not null default '{}',
      started_at timestamptz not null default now(),
      seen_at timestamptz not null default now(),
      stopped_at timestamptz,
      stop_reason text,
      exit_code integer,
      memory_bytes bigint not null default 0,
      health jsonb not null default '{}'
    );
    create index processes_seen on processes (seen_at);

    create table metric_minutes (
      minute timestamptz not null,
      name text not null,
      value double precision not null,
      primary key (minute, name)
    );

    create table task_runs (
      task text primary key,
      started_at timestamptz,
      finished_at timestamptz,
      worker text,
      outcome text,
      result jsonb,
      error text,
      requested_at timestamptz
    );

    create table bulk_actions (
      id uuid primary key,
      action text not null,
      filter jsonb not null,
      rate double precision not null,
      reason text not null,
      actor text not null,
      admin_id integer,
      total integer not null,
      done integer not null default 0,
      state text not null default 'running' check (state in ('running', 'completed', 'stopped')),
      created_at timestamptz not null default now(),
      finished_at timestamptz,
      claimed_until timestamptz
    );
    create index bulk_actions_created on bulk_actions (created_at);

    create table alerts (
      id uuid primary key,
      name text not null,
      detail text not null,
      raised_at timestamptz not null default now(),
      seen_at timestamptz not null default now(),
      cleared_at timestamptz,
      notices jsonb not null default '{}'
    );
    create unique index alerts_open on alerts (name) where cleared_at is null;
    create index alerts_raised on alerts (raised_at);
  `,
  down: `
    drop table alerts;
    drop table bulk_actions;
    drop table task_runs;
    drop table metric_minutes;
    drop table processes;
    alter table outbox drop column redrives;
    drop index sessions_console;
    alter table sessions drop column console_seen_at, drop column console_hash;
  `,
};
