import test from 'ava';
import { purgeExpired } from '../../workers/tasks/purge-expired.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { insertAdmin, insertMessage, openFixture, type ConfirmationOverrides } from './fixture.js';

shareProcess();

const context = useContext();

const IN_A_DAY = `now() + interval '1 day'`;
const AN_HOUR_AGO = `now() - interval '1 hour'`;

test.serial('a new address whose link has expired is cleared, and no other', async (t) => {
  const { database, promiseConfirmation } = await openFixture(t, context);
  /** An admin that has asked for an address, with what became of the link. */
  const asker = async (link: ConfirmationOverrides, changed = '3 hours'): Promise<number> => {
    const { adminId } = await promiseConfirmation({ purpose: 'email_change', ...link });
    await context.rows(
      `update admins set pending_email = 'new@x.test', updated_at = now() - $2::interval where id = $1`,
      [adminId, changed],
    );
    return adminId ?? 0;
  };
  const expired = await asker({ expiresAt: AN_HOUR_AGO });
  const open = await asker({ expiresAt: IN_A_DAY });
  const taken = await asker({ expiresAt: IN_A_DAY, supersededAt: 'now()' });
  const changedNow = await asker({ expiresAt: AN_HOUR_AGO }, '1 second');
  const renewed = await asker({ expiresAt: AN_HOUR_AGO, supersededAt: 'now()' });
  await context.rows(
    `insert into confirmations (id, admin_id, purpose, email, email_canonical, nonce, expires_at)
     values (gen_random_uuid(), $1, 'email_change', 'new@x.test', 'new@x.test', '', ${IN_A_DAY})`,
    [renewed],
  );
  const otherLink = await asker({ expiresAt: AN_HOUR_AGO });
  await context.rows(
    `insert into confirmations (id, admin_id, purpose, email, email_canonical, nonce, expires_at, confirmed_at)
     values (gen_random_uuid(), $1, 'password_reset', 'a@x.test', 'a@x.test', '', ${IN_A_DAY}, now())`,
    [otherLink],
  );

  t.like(await purgeExpired(database), { pending_emails: 2, unfinished: 0 });
  t.deepEqual(await pendingOf([expired, otherLink]), []);
  t.deepEqual(await pendingOf([open, taken, changedNow, renewed]), [
    open,
    taken,
    changedNow,
    renewed,
  ]);
  const [row] = await context.rows<{ isNew: boolean }>(
    `select updated_at > now() - interval '1 hour' as "isNew" from admins where id = $1`,
    [expired],
  );
  t.true(row?.isNew, 'a change that its admin sees');
  t.like(await purgeExpired(database), { pending_emails: 0 });
});

test.serial('an admin that a transaction has locked is left to the next run', async (t) => {
  const database = openTestDatabase(t, context.databaseUrl);
  const { adminId } = await insertAdmin(context);
  await context.rows(
    `update admins set pending_email = 'new@x.test', updated_at = now() - interval '3 hours' where id = $1`,
    [adminId],
  );
  await database.transaction(async (transaction) => {
    await database.query('select from admins where id = $1 for no key update', {
      bind: [adminId],
      transaction,
    });
    t.like(await purgeExpired(database), { pending_emails: 0 });
  });
  t.like(await purgeExpired(database), { pending_emails: 1 });
  t.deepEqual(await pendingOf([adminId]), []);
});

test.serial('a dead letter is deleted once its link or its account is, and no other', async (t) => {
  const { database, promiseConfirmation } = await openFixture(t, context);
  const open = await promiseConfirmation({ message: { state: 'dead' } });
  const expired = await promiseConfirmation({ message: { state: 'dead' } });
  const fresh = await promiseConfirmation({ message: { state: 'dead' } });
  const notice = (adminId: number, state: string): Promise<string> =>
    insertMessage(context, adminId, 'send-security-notice', { v: 1, admin_id: adminId }, { state });
  const { adminId: kept } = await insertAdmin(context);
  const { adminId: deleted } = await insertAdmin(context);
  const ofKept = await notice(kept, 'dead');
  const ofDeleted = await notice(deleted, 'uncertain');
  const unknown = await insertMessage(context, null, 'x', {}, { state: 'dead' });
  const all = [open.id, expired.id, fresh.id, ofKept, ofDeleted, unknown];
  await context.rows(
    `update outbox set given_up_at = now() - case when id = $2 then '29 days' else '31 days' end::interval
      where id = any($1)`,
    [all, fresh.id],
  );
  await context.rows('delete from confirmations where id = any($1)', [
    [expired.confirmationId, fresh.confirmationId],
  ]);
  await context.rows('delete from admins where id = $1', [deleted]);

  t.like(await purgeExpired(database), { dead_letters: 2, unfinished: 0 });
  const left = await context.rows<{ id: string }>('select id from outbox where id = any($1)', [
    all,
  ]);
  t.deepEqual(left.map(({ id }) => id).toSorted(), [open.id, fresh.id, ofKept, unknown].toSorted());
});

async function pendingOf(ids: readonly number[]): Promise<number[]> {
  const rows = await context.rows<{ id: number }>(
    'select id from admins where id = any($1) and pending_email is not null order by id',
    [ids],
  );
  return rows.map(({ id }) => id);
}
