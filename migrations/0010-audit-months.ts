import type { MigrationSteps } from './migration.js';

/**
 * The months of the audit are made and dropped by two functions with the rights of the owner of the tables, so that a worker
 * need not have these: it can call them, and do nothing else to the audit. Therefore they take no table and no date.
 */
export const migration: MigrationSteps = {
  up: `
    -- The month that is so many ahead, 0 to 2: false if it is there. Events from before are moved into it. The lock makes other
    -- statements wait until the month is attached. Without it they would wait at the default partition: it would then reject
    -- inserts that belong to the new month, and queries that were planned before would miss the events that have moved.
    create function prepare_audit_month(ahead integer) returns boolean
      language plpgsql security definer
      set search_path = public, pg_temp
      set timezone = 'UTC' as $$
    declare
      beginning timestamptz := date_trunc('month', now()) + ahead * interval '1 month';
      ending timestamptz := beginning + interval '1 month';
      month text := to_char(beginning, '"audit_events_"YYYY_MM');
    begin
      if ahead is null or ahead not between 0 and 2 then
        raise exception 'a month is 0 to 2 ahead' using errcode = 'invalid_parameter_value';
      end if;
      if exists (select from pg_inherits
                  where inhparent = 'audit_events'::regclass and inhrelid = to_regclass(month)) then
        return false;
      end if;
      execute format('create table %I (like audit_events including defaults)', month);
      lock table audit_events in access exclusive mode;
      execute format(
        'with moved as (delete from audit_events_default where at >= %L and at < %L returning *)
         insert into %I select * from moved', beginning, ending, month);
      execute format('alter table audit_events attach partition %I for values from (%L) to (%L)', month, beginning, ending);
      return true;
    end $$;

    -- Drops what is older than 13 months, this one included; returns how many months.
    create function drop_old_audit_months() returns integer
      language plpgsql security definer
      set search_path = public, pg_temp
      set timezone = 'UTC' as $$
    declare
      oldest timestamptz := date_trunc('month', now()) - interval '12 months';
      outdated text[] := array(
        select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
         where inhparent = 'audit_events'::regclass and relname ~ '^audit_events_[0-9]{4}_[0-9]{2}$'
           and relname collate "C" < to_char(oldest, '"audit_events_"YYYY_MM'));
      month text;
    begin
      foreach month in array outdated loop
        execute format('drop table %I', month);
      end loop;
      delete from audit_events_default where at < oldest;
      return cardinality(outdated);
    end $$;

    revoke execute on function prepare_audit_month(integer), drop_old_audit_months() from public;
  `,
  down: `
    drop function drop_old_audit_months();
    drop function prepare_audit_month(integer);
  `,
};
