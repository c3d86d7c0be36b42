import type { MigrationSteps } from './migration.js';

/** A state for mails that may have been sent, and a count of transmissions that were never answered. */
export const migration: MigrationSteps = {
  up: `
    alter table outbox add column unanswered integer not null default 0;
    alter table outbox drop constraint outbox_state,
      add constraint outbox_state
        check (state in ('pending', 'enqueued', 'settled', 'dead', 'uncertain')) not valid;
    alter table outbox validate constraint outbox_state;
    create index outbox_uncertain on outbox (created_at) where state = 'uncertain';
  `,
  down: `
    drop index outbox_uncertain;
    update outbox set state = 'dead' where state = 'uncertain';
    alter table outbox drop constraint outbox_state;
    alter table outbox add constraint outbox_state
      check (state in ('pending', 'enqueued', 'settled', 'dead'));
    alter table outbox drop column unanswered;
  `,
};
