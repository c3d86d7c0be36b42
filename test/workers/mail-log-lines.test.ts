import test from 'ava';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { measured } from '../helpers/metrics.js';
import type { SmtpAnswer } from '../helpers/smtp-server.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { setUpDelivery, type DeliveryOptions } from './delivery-fixture.js';
import { jobContext, type Fixture } from './fixture.js';

shareProcess();

const context = useContext();

// A line about one mail has the trace that begins with the request for it, so that a search by it finds the mail's whole way.

test.serial('a message that changed during its delivery', async (t) => {
  const redrive = `update outbox set state = 'pending', generation = generation + 1`;
  const { fixture, deliver, metrics } = await setUpDelivery(t, context, {
    smtp: {
      onMail: async () => {
        await context.rows(`${redrive} where id = $1`, [id]);
        return { code: 550, text: 'no such user' };
      },
    },
  });
  const { id } = await fixture.promiseConfirmation();
  await t.throwsAsync(deliver({ id }));
  t.true(await hasTrace(fixture, 'outbox message changed during delivery', id));
  t.like(await fixture.messageOf(id), { state: 'pending' });
  t.is(await measured(metrics, 'rollcall_mail_outcomes_total'), 0, 'it has no outcome');
});

test.serial('a failed attempt that PostgreSQL did not record', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { fixture, deliver, metrics } = await setUpDelivery(t, context, {
    databaseUrl: proxy.urlFor(context.databaseUrl),
    smtp: {
      onMail: async () => {
        await proxy.refuse();
        return { code: 550, text: 'no such user' };
      },
    },
  });
  const { id } = await fixture.promiseConfirmation();
  await t.throwsAsync(deliver({ id }));
  t.true(await hasTrace(fixture, 'failed attempt not recorded', id));
  t.is(await measured(metrics, 'rollcall_mail_outcomes_total'), 0, 'it has no outcome yet');
});

test.serial('a series of refusals, by the mail that completed it', async (t) => {
  const { fixture, refuse } = await setUpRefusing(t, { code: 554, text: 'computer says no' });
  await refuse();
  await refuse();
  const id = await refuse();
  t.true(await hasTrace(fixture, 'SMTP server rejects all mail; messages reopened', id));
});

test.serial('an attempt at a message that another worker has, or that is settled', async (t) => {
  const { fixture, deliver } = await setUpDelivery(t, context);
  const { id } = await fixture.promiseConfirmation();
  const settled = jobContext();
  await deliver({ id });
  t.is(await deliver({ id }, settled), 'already');
  t.is(settled.fields['trace.id'], await traceOf(id));

  const other = await fixture.promiseConfirmation();
  await context.rows(
    `update outbox set claimed_until = now() + interval '1 minute' where id = $1`,
    [other.id],
  );
  const busy = jobContext();
  await t.throwsAsync(deliver(other, busy));
  t.is(busy.fields['trace.id'], await traceOf(other.id));
});

async function setUpRefusing(t: Scope, answer: SmtpAnswer) {
  const smtp: DeliveryOptions['smtp'] = { onMail: () => answer };
  const { fixture, deliver } = await setUpDelivery(t, context, { smtp });
  return {
    fixture,
    async refuse(): Promise<string> {
      const { id } = await fixture.promiseConfirmation();
      await deliver({ id }).catch(() => undefined);
      return id;
    },
  };
}

async function hasTrace({ lines }: Fixture, message: string, id: string): Promise<boolean> {
  const line = lines.find(({ msg }) => msg === message);
  return line?.['labels.outbox_id'] === id && line['trace.id'] === (await traceOf(id));
}

async function traceOf(id: string): Promise<string | undefined> {
  const sql = 'select trace_id from outbox where id = $1';
  return (await context.rows<{ trace_id: string }>(sql, [id]))[0]?.trace_id;
}
