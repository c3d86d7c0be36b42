import test, { type ExecutionContext } from 'ava';
import type { Database } from '../../shared/database/connect.js';
import {
  ACCOUNT_EXISTS_LIMIT,
  EMAIL_CHANGE_LIMIT,
} from '../../workers/mail/mails/confirmation-mail.js';
import { countMails, USUAL_LIMIT, type DueMail } from '../../workers/mail/mails/mail-limits.js';
import { shareProcess, useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { insertMessage, openFixture } from './fixture.js';

shareProcess();

const context = useContext();

const limits = {
  confirmation: USUAL_LIMIT,
  first_password: USUAL_LIMIT,
  password_reset: USUAL_LIMIT,
  password_changed: USUAL_LIMIT,
  email_change: EMAIL_CHANGE_LIMIT,
  account_exists: ACCOUNT_EXISTS_LIMIT,
};
type Template = keyof typeof limits;

/** Messages to one address, each due as the mail that is named. */
async function due(address: string, templates: readonly Template[]): Promise<DueMail[]> {
  const mails: DueMail[] = [];
  for (const template of templates) {
    const outboxId = await insertMessage(context, null, 'any', {}, { recipient: address });
    mails.push({ outboxId, template, limit: limits[template], address });
  }
  return mails;
}

const times = (count: number, template: Template): Template[] =>
  Array<Template>(count).fill(template);

const openDatabase = (t: ExecutionContext): Database =>
  openTestDatabase(t, context.databaseUrl, { poolMax: 10 });

const countMail = async (database: Database, mail: DueMail, scale: number): Promise<boolean> =>
  (await countMails(database, [mail], scale)).get(mail.address) === 'counted';

const sumOf = (counted: readonly boolean[]): number => counted.filter(Boolean).length;

const inTurn = async (database: Database, mails: readonly DueMail[]): Promise<boolean[]> => {
  const counted: boolean[] = [];
  for (const mail of mails) counted.push(await countMail(database, mail, 1));
  return counted;
};

test('two workers that count mails to one address at once do not exceed its limit', async (t) => {
  const workers = [openDatabase(t), openDatabase(t)];
  for (const [template, limit] of [
    ['password_changed', 3],
    ['confirmation', 3],
    ['account_exists', 1],
    ['email_change', 6],
  ] as const) {
    const address = context.uniqueAddress(template);
    const mails = await due(address, times(16, template));
    const counted = await Promise.all(
      mails.map((mail, i) => countMail(workers[i % 2] ?? openDatabase(t), mail, 1)),
    );
    t.is(sumOf(counted), limit, template);
  }
});

test('links that prove an address: six an hour of all kinds together; changes, notices and other addresses are apart', async (t) => {
  const database = openDatabase(t);
  const address = context.uniqueAddress();
  t.is(sumOf(await inTurn(database, await due(address, times(7, 'email_change')))), 6);
  const links = await due(address, [
    ...times(3, 'confirmation'),
    ...times(3, 'first_password'),
    'password_reset',
  ]);
  t.deepEqual(await inTurn(database, links), [true, true, true, true, true, true, false]);
  t.deepEqual(await inTurn(database, await due(address, ['password_changed'])), [true]);
  t.deepEqual(await inTurn(database, await due(`x-${address}`, ['confirmation'])), [true]);
});

test('what was settled as obsolete is not counted, nor is what is older than the hour or the day', async (t) => {
  const database = openDatabase(t);
  const address = context.uniqueAddress();
  const spent = await due(address, times(3, 'confirmation'));
  t.is(sumOf(await inTurn(database, spent)), 3);
  const [next] = await due(address, ['confirmation']);
  if (!next) throw new Error('it was inserted');
  t.false(await countMail(database, next, 1));
  await context.rows(`update outbox set outcome = 'obsolete' where id = $1`, [spent[0]?.outboxId]);
  t.true(await countMail(database, next, 1));
  await context.rows(
    `update outbox set created_at = created_at - interval '61 minutes' where recipient = $1`,
    [address],
  );
  t.is(sumOf(await inTurn(database, await due(address, times(4, 'confirmation')))), 3);

  const owner = context.uniqueAddress();
  t.deepEqual(await inTurn(database, await due(owner, times(2, 'account_exists'))), [true, false]);
  await context.rows(
    `update outbox set created_at = created_at - interval '25 hours' where recipient = $1`,
    [owner],
  );
  t.deepEqual(await inTurn(database, await due(owner, ['account_exists'])), [true]);
});

test('a mail that is tried again is counted once, and the limits are scaled', async (t) => {
  const database = openDatabase(t);
  const address = context.uniqueAddress();
  const mails = await due(address, times(3, 'confirmation'));
  t.deepEqual(await inTurn(database, [...mails, ...mails]), Array<boolean>(6).fill(true));
  const [more] = await due(address, ['confirmation']);
  if (!more) throw new Error('it was inserted');
  t.false(await countMail(database, more, 1));
  t.true(await countMail(database, more, 2));
});

test('an address whose links no longer work gets others past its limit, up to twice as many', async (t) => {
  const fixture = await openFixture(t, context);
  const database = openDatabase(t);
  const { email } = await fixture.promiseConfirmation();
  const next = async (): Promise<boolean> => {
    const { id, confirmationId } = await fixture.promiseConfirmation({ email, purpose: 'resend' });
    const mail = {
      outboxId: id,
      template: 'confirmation',
      limit: USUAL_LIMIT,
      address: email,
      confirmationId,
    };
    const isSent = await countMail(database, mail, 1);
    await context.rows(`update outbox set state = 'settled', outcome = $2 where id = $1`, [
      id,
      isSent ? 'sent' : 'obsolete',
    ]);
    return isSent;
  };
  const expire = () =>
    context.rows('update confirmations set expires_at = now() where email_canonical = $1', [email]);
  for (const expected of [true, true, true, false]) t.is(await next(), expected);
  await expire();
  t.deepEqual([await next(), await next()], [true, false], 'one that works is enough');
  let more = 0;
  for (let i = 0; i < 10; i += 1) {
    await expire();
    if (await next()) more += 1;
  }
  t.is(more, 2, 'six in all');
});

test('a link that is sent voids the older ones of its kind to the same address, and no others', async (t) => {
  const fixture = await openFixture(t, context);
  const older = await fixture.promiseConfirmation();
  const { email } = older;
  const reset = await fixture.promiseConfirmation({ purpose: 'password_reset' });
  await context.rows('update confirmations set email = $2, email_canonical = $2 where id = $1', [
    reset.confirmationId,
    email,
  ]);
  const newer = await fixture.promiseConfirmation({ purpose: 'resend', email });
  const stranger = await fixture.promiseConfirmation();
  const { id: outboxId, confirmationId } = newer;
  const mail = {
    outboxId,
    template: 'confirmation',
    limit: USUAL_LIMIT,
    address: email,
    confirmationId,
  };
  t.true(await countMail(openDatabase(t), mail, 1));
  const open = await context.rows<{ id: string }>(
    'select id from confirmations where superseded_at is null',
  );
  const ids = new Set(open.map(({ id }) => id));
  t.deepEqual(
    [older, reset, newer, stranger].map((each) => ids.has(each.confirmationId)),
    [false, true, true, true],
  );
});
