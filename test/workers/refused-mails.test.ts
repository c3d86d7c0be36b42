import test from 'ava';
import {
  JobDelayed,
  PermanentFailure,
  QueueThrottledJobDelayed,
  QueueThrottled,
} from '../../workers/jobs/job-effects.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { measured } from '../helpers/metrics.js';
import type { SmtpAnswer } from '../helpers/smtp-server.js';
import { setUpDelivery } from './delivery-fixture.js';
import { jobContext, type PromisedMail } from './fixture.js';

shareProcess();

const context = useContext();

const PAUSED =
  'Message rejected: Sending paused for this account. For more information, please check the inbox.';

// One history of deliveries: what went before must not be part of it.
test.serial.beforeEach(() => context.rows('delete from outbox'));

for (const text of [
  'Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: no-reply@rollcall.test',
  PAUSED,
  'Configuration set <events> does not exist.',
]) {
  test.serial(
    `554 ${text.slice(0, 60)} throttles the queue, turns readiness red and counts no try; all mails leave once it is mended (field: 0pdd 240, ecs-agent 533, platform 8899)`,
    async (t) => {
      const { fixture, server, deliver, promise, mend, problem } = await setUp(t, {
        code: 554,
        text,
      });
      const mails = [await promise(), await promise(), await promise()];
      for (const mail of mails) {
        const error = await t.throwsAsync(deliver(mail, jobContext({ isLastAttempt: true })), {
          instanceOf: QueueThrottledJobDelayed,
        });
        t.is(error?.pauseMs, 60_000);
        t.true((error?.delayMs ?? 0) > 60_000, 'another one looks next');
        t.like(await fixture.messageOf(mail.id), { state: 'enqueued', attempts: 0, unanswered: 0 });
      }
      t.regex((await problem()) ?? '', /^554 /);
      mend();
      for (const mail of mails) t.is(await deliver(mail), 'sent');
      t.is(server.taken.length, 3);
      t.is(await problem(), undefined);
    },
  );
}

test.serial(
  'such an answer to one mail, while others go, is about that mail: it is tried again, and counted',
  async (t) => {
    const { fixture, deliver, promise, mend, breakAgain } = await setUp(t, {
      code: 554,
      text: PAUSED,
    });
    const odd = await promise();
    await t.throwsAsync(deliver(odd), { instanceOf: QueueThrottled });
    mend();
    t.is(await deliver(await promise()), 'sent');
    breakAgain();
    const error = await t.throwsAsync(deliver(odd));
    t.false(error instanceof QueueThrottled || error instanceof PermanentFailure, error?.message);
    t.like(await fixture.messageOf(odd.id), { state: 'enqueued', attempts: 1 });
    const other = await t.throwsAsync(deliver(await promise()));
    t.true(other instanceof QueueThrottled, 'of another mail nothing is known yet');
  },
);

test.serial(
  'one recipient whose server speaks of a suspended account holds up no other mail, while others go',
  async (t) => {
    const { fixture, deliver, promise, mend, breakAgain, problem } = await setUp(
      t,
      { code: 550, text: 'account suspended' },
      'onRecipient',
    );
    const first = await t.throwsAsync(deliver(await promise()));
    t.true(first instanceof QueueThrottled, 'nothing has been sent: it may be our account');
    t.regex((await problem()) ?? '', /account suspended/);
    mend();
    t.is(await deliver(await promise()), 'sent');
    t.is(await problem(), undefined);

    breakAgain();
    const odd = await promise();
    const delayed = await t.throwsAsync(deliver(odd), { instanceOf: JobDelayed });
    t.true((delayed?.delayMs ?? 0) >= 60_000);
    t.is(await problem(), undefined);
    t.like(await fixture.messageOf(odd.id), { state: 'enqueued', attempts: 0 });
    mend();
    t.is(await deliver(await promise()), 'sent');

    breakAgain();
    const known = await t.throwsAsync(deliver(odd));
    t.false(known instanceof JobDelayed || known instanceof QueueThrottled, known?.message);
    t.like(await fixture.messageOf(odd.id), { state: 'enqueued', attempts: 1 });
  },
);

test.serial(
  'an answer in unknown words to several mails in a row is ours: those that were given up come back, and leave once it is mended',
  async (t) => {
    const unknown = { code: 554, text: '5.7.1 <x@y.test> Computer says no (id 4XYZ1)' };
    const { metrics, fixture, server, deliver, promise, mend, problem } = await setUp(t, unknown);
    const mails = [await promise(), await promise(), await promise()];
    for (const mail of mails.slice(0, 2)) {
      await t.throwsAsync(deliver(mail), { instanceOf: PermanentFailure });
      t.is((await fixture.messageOf(mail.id)).state, 'dead', 'it may be about this mail');
    }
    t.is(await problem(), undefined);
    const error = await t.throwsAsync(deliver(last(mails)), { instanceOf: QueueThrottled });
    t.true((error?.pauseMs ?? 0) >= 5_000);
    t.regex((await problem()) ?? '', /Computer says no/);
    for (const { id } of mails)
      t.like(await fixture.messageOf(id), { state: 'pending', generation: 1, attempts: 0 });

    t.is(await measured(metrics, 'rollcall_mail_outcomes_total', { outcome: 'dead' }), 2);
    t.is(await measured(metrics, 'rollcall_mail_outcomes_total', { outcome: 'deferred' }), 1);
    const longer = await t.throwsAsync(deliver({ ...last(mails), generation: 1 }), {
      instanceOf: QueueThrottled,
    });
    t.true((longer?.pauseMs ?? 0) > (error?.pauseMs ?? Infinity), 'it is throttled for longer');
    mend();
    for (const { id } of mails) {
      const { generation } = await fixture.messageOf(id);
      t.is(await deliver({ id, generation }), 'sent');
    }
    t.is(server.taken.length, 3);
    t.is(await problem(), undefined);
  },
);

for (const text of [
  'Administrative prohibition',
  'Domain rollcall.example has exceeded the max emails per hour (100/100)',
]) {
  test.serial(
    `550 ${text} to each recipient in a row is ours as well: the mails come back, and leave once it is mended`,
    async (t) => {
      const { fixture, server, deliver, promise, mend, problem } = await setUp(
        t,
        { code: 550, text },
        'onRecipient',
      );
      const mails = [await promise(), await promise(), await promise()];
      for (const mail of mails.slice(0, 2))
        await t.throwsAsync(deliver(mail), { instanceOf: PermanentFailure });
      t.is(await problem(), undefined);
      await t.throwsAsync(deliver(last(mails)), { instanceOf: QueueThrottled });
      t.is(await problem(), `550 ${text}`);
      mend();
      for (const { id } of mails) {
        t.like(await fixture.messageOf(id), { state: 'pending', generation: 1, attempts: 0 });
        t.is(await deliver({ id, generation: 1 }), 'sent');
      }
      t.is(server.taken.length, 3);
      t.is(await problem(), undefined);
    },
  );
}

test.serial('many refused at the same moment come back all the same', async (t) => {
  const { fixture, deliver, promise } = await setUp(t, { code: 550, text: 'no' });
  const mails = await Promise.all(Array.from({ length: 5 }, () => promise()));
  const errors = await Promise.all(
    mails.map((mail) => deliver(mail).catch((error: unknown) => error)),
  );
  t.true(errors.some((error) => error instanceof QueueThrottled));
  for (const { id } of mails) t.is((await fixture.messageOf(id)).state, 'pending');
});

test.serial(
  'a mail that was put back and is refused again after another was sent is given up',
  async (t) => {
    const { fixture, deliver, promise, mend, breakAgain } = await setUp(t, {
      code: 554,
      text: 'spam',
    });
    const mails = [await promise(), await promise(), await promise()];
    for (const mail of mails) await t.throwsAsync(deliver(mail));
    mend();
    t.is(await deliver(await promise()), 'sent');
    breakAgain();
    for (const { id } of mails) {
      await t.throwsAsync(deliver({ id, generation: 1 }), { instanceOf: PermanentFailure });
      t.like(await fixture.messageOf(id), { state: 'dead', generation: 1 });
    }
  },
);

test.serial(
  'mails that are refused with other answers, or to one recipient, or with a success in between, are no series',
  async (t) => {
    let text = 'reason A';
    const { fixture, deliver, promise, mend, breakAgain } = await setUp(t, () => ({
      code: 554,
      text,
    }));
    const refuse = async (mail: PromisedMail): Promise<void> => {
      await t.throwsAsync(deliver(mail), { instanceOf: PermanentFailure });
      t.is((await fixture.messageOf(mail.id)).state, 'dead');
    };
    await refuse(await promise());
    await refuse(await promise());
    text = 'quite another reason';
    await refuse(await promise());
    await refuse(await promise());
    mend();
    t.is(await deliver(await promise()), 'sent');
    breakAgain();
    await refuse(await promise());
    for (let i = 0; i < 3; i++) await refuse(await promise('same@x.example'));
  },
);

test.serial(
  'a recipient that does not exist is given up at once, however many there are',
  async (t) => {
    const { fixture, deliver, promise, problem } = await setUp(t, {
      code: 550,
      text: '5.1.1 no such user',
    });
    for (let i = 0; i < 4; i++) {
      const { id } = await promise();
      await t.throwsAsync(deliver({ id }), { instanceOf: PermanentFailure });
      t.is((await fixture.messageOf(id)).state, 'dead');
    }
    t.is(await problem(), undefined);
  },
);

/** A server that gives every mail this answer until it is mended. */
async function setUp(
  t: Scope,
  broken: SmtpAnswer | (() => SmtpAnswer),
  asked: 'onMail' | 'onRecipient' = 'onMail',
) {
  let isBroken = true;
  const answer = (): SmtpAnswer => {
    if (!isBroken) return 'take';
    return typeof broken === 'function' ? broken() : broken;
  };
  const delivery = await setUpDelivery(t, context, { smtp: { [asked]: answer } });
  return {
    ...delivery,
    async promise(recipient?: string) {
      const promised = await delivery.fixture.promiseConfirmation({
        message: { state: 'enqueued' },
      });
      await context.rows('update outbox set recipient = $2 where id = $1', [
        promised.id,
        recipient ?? promised.email,
      ]);
      return promised;
    },
    mend: () => void (isBroken = false),
    breakAgain: () => void (isBroken = true),
  };
}

function last<T>(items: readonly T[]): T {
  const item = items.at(-1);
  if (item === undefined) throw new Error('there is none');
  return item;
}
