import type { MigrationSteps } from './migration.js';

/**
 * A table for registrations: `admins` holds only confirmed admins, and a mailed link belongs to an address instead of an
 * account. Unconfirmed registrations are moved; links mailed earlier must be requested again.
 */
export const migration: MigrationSteps = {
  breaks: 'the previous release keeps unconfirmed registrations in `admins`',
  up: `
    create table registrations (
      id uuid primary key,
      email text not null,
      email_canonical text not null,
      name text not null,
      name_canonical text not null,
      password_hash text not null,
      created_at timestamptz not null default now()
    );
    create index registrations_address on registrations (email_canonical, id);
    create index registrations_created on registrations (created_at);

    insert into registrations (id, email, email_canonical, name, name_canonical, password_hash, created_at)
    select c.id, c.email, lower(c.email), c.name, c.name_canonical, c.password_hash, c.created_at
      from confirmations c join admins a on a.id = c.admin_id
     where a.confirmed_at is null and c.purpose = 'registration'
       and c.confirmed_at is null and c.superseded_at is null
       and c.name is not null and c.name_canonical is not null and c.password_hash is not null;

    alter table confirmations
      alter column admin_id drop not null,
      add column email_canonical text,
      add column repeated boolean not null default false,
      add column network text;
    update confirmations set email_canonical = lower(email);
    update confirmations c set admin_id = null
      from admins a where a.id = c.admin_id and a.confirmed_at is null;
    alter table confirmations
      alter column email_canonical set not null,
      drop column name,
      drop column name_canonical,
      drop column password_hash;
    create index confirmations_address on confirmations (email_canonical, created_at);
    drop index confirmations_open_key;
    create unique index confirmations_open_change_key on confirmations (admin_id)
      where purpose = 'email_change' and confirmed_at is null and superseded_at is null;

    delete from admins where confirmed_at is null;
    alter table admins alter column confirmed_at set not null;
    drop index admins_confirmed_name_key;
    alter table admins add constraint admins_name_key unique (name_canonical);

    alter table outbox
      add column template text,
      add column request_id text,
      add column span_id text;
    update outbox set state = 'settled', outcome = 'obsolete', settled_at = now()
     where name = 'send-account-exists-mail' and state in ('pending', 'enqueued');
  `,
  down: `
    alter table outbox drop column template, drop column request_id, drop column span_id;
    alter table admins drop constraint admins_name_key;
    alter table admins alter column confirmed_at drop not null;
    create unique index admins_confirmed_name_key on admins (name_canonical) where confirmed_at is not null;
    delete from confirmations where admin_id is null;
    drop index confirmations_open_change_key;
    drop index confirmations_address;
    alter table confirmations
      alter column admin_id set not null,
      drop column email_canonical,
      drop column repeated,
      drop column network,
      add column name text,
      add column name_canonical text,
      add column password_hash text;
    create unique index confirmations_open_key on confirmations (admin_id, purpose)
      where confirmed_at is null and superseded_at is null and purpose <> 'registration';
    drop table registrations;
  `,
};
