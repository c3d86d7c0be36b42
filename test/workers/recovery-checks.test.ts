import test from 'ava';
import { Redis } from 'ioredis';
import type { Logger } from '../../shared/logging/logger.js';
import { createReceipts } from '../../shared/queues/receipts.js';
import { startRecoveryChecks, type SharedFault } from '../../workers/jobs/recovery-checks.js';
import { firehoseFault } from '../../workers/logs/firehose-fault.js';
import { mailServerFaults } from '../../workers/mail/delivery/mail-server-faults.js';
import { shareProcess, useContext, type Scope } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';
import type { SmtpAnswer } from '../helpers/smtp-server.js';
import { openTcpProxy } from '../helpers/tcp-proxy.js';
import { setUpDelivery } from './delivery-fixture.js';
import { openLogFixture, openStrictServer } from './log-fixture.js';

shareProcess();

const context = useContext();

const INTERVAL_MS = 20;
const QUIET_MS = 20;
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
  await eventually(() => first.fixture.messages().includes('recovery check failed'));
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
  t.false(first.fixture.messages().includes('recovery check failed'));
});

test.serial(
  'a fault of Firehose ends when another worker has shipped a batch since, not by an earlier one',
  async (t) => {
    const server = await openStrictServer(t, /refused/, 'AccessDeniedException');
    const receipts = openReceipts(t);
    const first = openLogFixture(t, server.url);
    const second = openLogFixture(t, server.url, receipts);
    t.is(await second.ship(['earlier\n']), 'shipped');
    await t.throwsAsync(first.ship(['refused\n']));
    const fault = firehoseFault({ receipts, faults: first.faults }, QUIET_MS);
    const looks = startFaultChecks(t, [fault], first.log);
    await eventually(() => looks() >= 2);
    t.regex((await first.problem()) ?? '', /^AccessDeniedException/);

    t.is(await second.ship(['later\n']), 'shipped');
    await eventually(async () => (await first.problem()) === undefined);
  },
);

test.serial('a worker that Firehose refuses once a minute keeps its fault', async (t) => {
  const receipts = openReceipts(t);
  const { faults, log, problem } = openLogFixture(t, 'http://127.0.0.1:9');
  faults.raise('firehose', 'no access');
  await receipts.write('of another worker');
  const looks = startFaultChecks(t, [firehoseFault({ receipts, faults })], log);
  await eventually(() => looks() >= 2);
  t.is(await problem(), 'no access');
});

function openReceipts(scope: Scope) {
  const redis = new Redis(context.redisUrl);
  scope.teardown(() => redis.disconnect());
  return createReceipts(redis);
}

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

const startChecks = (t: Scope, { recovery }: Awaited<ReturnType<typeof setUpDelivery>>) =>
  startFaultChecks(t, mailServerFaults(recovery, QUIET_MS), recovery.log);

/** Starts the checks of a worker; returns how often they have looked for a fault. A look has ended before the next one. */
function startFaultChecks(t: Scope, [fault, ...others]: readonly SharedFault[], log: Logger) {
  let looks = 0;
  const metAt = (): number | undefined => {
    looks += 1;
    return fault?.metAt();
  };
  const faults = fault ? [{ ...fault, metAt }, ...others] : [];
  const checks = startRecoveryChecks(faults, log, INTERVAL_MS);
  t.teardown(() => checks.stop());
  return () => looks;
}
