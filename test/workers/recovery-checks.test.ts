import test from 'ava';
import { startRecoveryChecks } from '../../workers/mail/delivery/recovery-checks.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import type { SmtpAnswer } from '../helpers/smtp-server.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { setUpDelivery } from './delivery-fixture.js';

shareProcess();

const context = useContext();

const INTERVAL_MS = 20;
const QUOTA = 'Throttling failure: Daily message quota exceeded';

test.serial(
  'a fault of the mail server ends when another worker has sent a mail since, not by an earlier one',
  async (t) => {
    const { first, second, answerWith } = await setUpTwo(t);
    t.is(await second.deliver(await second.fixture.promiseConfirmation()), 'sent');
    answerWith({ code: 454, text: QUOTA });
    await t.throwsAsync(first.deliver(await first.fixture.promiseConfirmation()));
    const looks = startChecks(t, first);
    await eventually(() => looks() >= 2);
    t.is(await first.problem(), `454 ${QUOTA}`);

    answerWith('take');
    t.is(await second.deliver(await second.fixture.promiseConfirmation()), 'sent');
    await eventually(async () => (await first.problem()) === undefined);
  },
);

test.serial(
  "the circuit breaker closes when another worker's mail has reached the server",
  async (t) => {
    const { first, second, answerWith } = await setUpTwo(t);
    answerWith('cut');
    await t.throwsAsync(first.deliver(await first.fixture.promiseConfirmation()));
    t.true(await first.isCircuitOpen());
    startChecks(t, first);

    answerWith('take');
    t.is(await second.deliver(await second.fixture.promiseConfirmation()), 'sent');
    await eventually(async () => !(await first.isCircuitOpen()));
    t.true(first.fixture.messages().includes('SMTP server recovered'));
    t.is(await first.deliver(await first.fixture.promiseConfirmation()), 'sent');
  },
);

test.serial('without PostgreSQL the fault stands, and ends once that answers again', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { first, second, answerWith } = await setUpTwo(t, proxy.urlFor(context.databaseUrl));
  answerWith({ code: 454, text: QUOTA });
  await t.throwsAsync(first.deliver(await first.fixture.promiseConfirmation()));
  answerWith('take');
  t.is(await second.deliver(await second.fixture.promiseConfirmation()), 'sent');
  await proxy.refuse();
  startChecks(t, first);
  await eventually(() => first.fixture.messages().includes('SMTP recovery check failed'));
  t.is(await first.problem(), `454 ${QUOTA}`);
  await proxy.restore();
  await eventually(async () => (await first.problem()) === undefined);
});

test.serial('without a fault the database is not asked', async (t) => {
  const proxy = await openTcpProxy(t, context.databaseUrl);
  const { first } = await setUpTwo(t, proxy.urlFor(context.databaseUrl));
  await proxy.refuse();
  const looks = startChecks(t, first);
  await eventually(() => looks() >= 2);
  t.false(first.fixture.messages().includes('SMTP recovery check failed'));
});

/** Two workers, and their mail server. */
async function setUpTwo(t: Scope, databaseUrl = context.databaseUrl) {
  let answer: SmtpAnswer = 'take';
  const first = await setUpDelivery(t, context, {
    smtp: { onRecipient: () => answer },
    databaseUrl,
    worker: 'test:1',
  });
  const second = await setUpDelivery(t, context, { server: first.server, worker: 'test:2' });
  return { first, second, answerWith: (next: SmtpAnswer) => void (answer = next) };
}

/** Starts the checks of a worker; returns how often they have looked for a fault. A look has ended before the next one. */
function startChecks(t: Scope, { recovery }: Awaited<ReturnType<typeof setUpDelivery>>) {
  let looks = 0;
  const raisedAt: typeof recovery.faults.raisedAt = (name) => {
    looks += 1;
    return recovery.faults.raisedAt(name);
  };
  const faults = { ...recovery.faults, raisedAt };
  const checks = startRecoveryChecks({ ...recovery, faults }, INTERVAL_MS);
  t.teardown(() => checks.stop());
  return () => looks;
}
