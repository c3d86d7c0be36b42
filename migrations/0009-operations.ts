import type { MigrationSteps } from './migration.js';

/**
 * What operators see and do: the processes that run, counts of each minute, the runs of periodic tasks, actions over many
 * mails, alerts, and sessions of the console.
 */
export const migration: MigrationSteps = {
  up: `
    alter table sessions add column console_hash bytea, add column console_seen_at timestamptz;
    create unique index sessions_console on sessions (console_hash) where console_hash is not null;
    create index admins_operators on admins (id) where operator_since is not null;

    alter table outbox add column redrives integer not null default 0, add column given_up_at timestamptz,
      add column is_sampled boolean not null default true;
    create index outbox_given_up on outbox (given_up_at) where state in ('dead', 'uncertain');

    -- What dead letters have in common: the SMTP code of the reply, or the error without what differs from mail to mail.
    create function mail_failure_cause(error text) returns text
      language sql immutable parallel safe as $$
      select case
        when coalesce(error, '') = '' then 'unknown'
        when error ~ '^[245][0-9][0-9]([^0-9]|$)' then
          replace(substring(left(error, 40) from '^[245][0-9][0-9](?:[ -][245][.][0-9]{1,3}[.][0-9]{1,3})?'), '-', ' ')
        else regexp_replace(left(error, 120), '[^[:space:]]*[0-9][^[:space:]]*', '#', 'g')
      end $$;
    create index outbox_failures on outbox (state, mail_failure_cause(last_error), created_at, id)
      where state in ('dead', 'uncertain');

    -- The decisions about one mail, whatever else the audit holds.
    create index audit_events_decisions on audit_events ((details->>'outbox_id'))
      where event in ('mail_redriven', 'mail_discarded', 'email_suppression_lifted');

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
      name text not null,
      minute timestamptz not null,
      value double precision not null,
      primary key (name, minute)
    );
    create index metric_minutes_minute on metric_minutes using brin (minute);

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
      actor text,
      operator_id integer,
      trace_id text not null,
      total integer not null,
      done integer not null default 0,
      state text not null default 'running' check (state in ('running', 'completed', 'stopped')),
      created_at timestamptz not null default now(),
      finished_at timestamptz,
      cursor_at timestamptz,
      cursor_id uuid,
      claimed_by uuid,
      claimed_until timestamptz
    );
    create index bulk_actions_created on bulk_actions (created_at);
    create index bulk_actions_running on bulk_actions (created_at) where state = 'running';

    create table alerts (
      id uuid primary key,
      name text not null,
      detail text not null,
      raised_at timestamptz not null default now(),
      seen_at timestamptz not null default now(),
      cleared_at timestamptz
    );
    create unique index alerts_open on alerts (name) where cleared_at is null;
    create index alerts_raised on alerts (raised_at);

    create table alert_notices (
      alert_id uuid not null references alerts (id) on delete cascade,
      channel text not null,
      kind text not null check (kind in ('raised', 'cleared')),
      claimed_until timestamptz,
      sent_at timestamptz,
      failures integer not null default 0,
      primary key (alert_id, channel, kind)
    );
    create index alert_notices_sent on alert_notices (channel, sent_at);

    create table heartbeats (
      name text primary key,
      called_at timestamptz not null
    );
  `,
  down: `
    drop table heartbeats;
    drop table alert_notices;
    drop table alerts;
    drop table bulk_actions;
    drop table task_runs;
    drop table metric_minutes;
    drop table processes;
    drop index outbox_given_up;
    drop index audit_events_decisions;
    drop index outbox_failures;
    drop function mail_failure_cause;
    alter table outbox drop column is_sampled, drop column given_up_at, drop column redrives;
    drop index admins_operators;
    drop index sessions_console;
    alter table sessions drop column console_seen_at, drop column console_hash;
  `,
};
