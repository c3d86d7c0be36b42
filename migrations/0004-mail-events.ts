import type { MigrationSteps } from './migration.js';

/** Events of mails that the server has accepted, and suppressed addresses. */
export const migration: MigrationSteps = {
  up: `
    create table mail_events (
      id uuid primary key,
      outbox_id uuid references outbox (id) on delete cascade,
      provider_id text not null,
      type text not null
        constraint mail_events_type check (type in ('delivered', 'bounced', 'complained', 'delayed', 'rejected')),
      subtype text,
      at timestamptz not null,
      received_at timestamptz not null default now(),
      detail text,
      message_id text constraint mail_events_message_key unique,
      fingerprint text not null constraint mail_events_fingerprint_key unique
    );
    create index mail_events_outbox on mail_events (outbox_id);
    create index mail_events_unknown on mail_events (received_at) where outbox_id is null;

    create table suppressions (
      email_canonical text primary key,
      reason text not null constraint suppressions_reason check (reason in ('bounce', 'complaint')),
      created_at timestamptz not null default now(),
      event_id uuid references mail_events (id) on delete set null
    );
    create index suppressions_event on suppressions (event_id);
    create index suppressions_bounces on suppressions (created_at) where reason = 'bounce';

    create index deliveries_provider on deliveries (provider_id) where provider_id is not null;
    create index outbox_recipient on outbox (lower(recipient));
  `,
  down: `
    drop index outbox_recipient;
    drop index deliveries_provider;
    drop table suppressions;
    drop table mail_events;
  `,
};
