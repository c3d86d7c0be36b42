import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { startSesSimulator } from '../../dev/emulators/ses-simulator.js';
import { runCli, runCliJson } from '../cli/run-cli.js';
import { useSystem } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { eventually } from '../helpers/eventually.js';

const context = useContext();
const system = useSystem(context, { env: { MAIL_CONFIGURATION_SET: 'rollcall-tests' } });

let mailDir: string;
const problems: string[] = [];
test.serial.before('start the SES simulator', async () => {
  mailDir = await mkdtemp(join(tmpdir(), 'rollcall-mail-'));
  context.teardown(() => rm(mailDir, { recursive: true }));
  const simulator = startSesSimulator({
    mailDir,
    url: context.stack.mailboxUrl,
    workerUrl: system.worker.url,
    onProblem: (text) => void problems.push(text),
  });
  context.teardown(() => simulator.stop());
});

interface MailHistory {
  readonly outcome: string | null;
  readonly steps: readonly {
    readonly step: string;
    readonly outcome?: string;
    readonly response?: string;
  }[];
}

/** Waits for the mail to an address, and has the simulator find it: the catcher is shared, its folder is not. */
async function mailArrives(email: string): Promise<void> {
  const { id } = await system.mailbox.waitForMail(email);
  await writeFile(join(mailDir, `${id}.eml`), '');
}

const simulated = (kind: string): string => `${kind}+${context.id}@simulator.amazonses.com`;

const suppressionOf = async (email: string): Promise<string | undefined> => {
  const [row] = await context.rows<{ reason: string }>(
    'select reason from suppressions where email_canonical = $1',
    [email],
  );
  return row?.reason;
};

test.serial(
  'an address that bounces gets no more mail, `mail show` says so, and another address works',
  async (t) => {
    const { admins, client, mailbox, worker } = system;
    const email = simulated('bounce');
    const applicant = await admins.registerAdmin({ email });
    await mailArrives(email);
    t.is(await eventually(() => suppressionOf(email), { of: 'the suppression' }), 'bounce');
    const line = await worker.waitForLine(({ message }) => message === 'mail event');
    t.like(line, { 'labels.mail_event': 'bounced', 'labels.result': 'recorded' });

    const resent = await client.post('/auth/confirm/resend', { email });
    t.is(resent.status, 202, 'the answer tells nobody');
    await eventually(async () => {
      const open = await context.rows(`select from outbox where state <> 'settled'`);
      return open.length === 0;
    });
    const { code, json } = await runCliJson(context, ['mail', 'show', email]);
    t.is(code, 0);
    t.like(json, { suppressed: { reason: 'bounce' }, admin: null, registrations: 1 });
    const [first, second, ...others] = json['messages'] as MailHistory[];
    t.is(others.length, 0);
    t.is(first?.outcome, 'sent');
    t.is(first?.steps.at(-1)?.step, 'bounced');
    t.is(second?.outcome, 'obsolete');
    t.true(second?.steps.some(({ response }) => response === 'the address is suppressed'));
    const { stdout } = await runCli(context, ['mail', 'show', email]);
    t.regex(stdout, /SUPPRESSED/);
    t.regex(stdout, /the address is suppressed/);
    t.is((await mailbox.mailsTo(email)).length, 1);

    const { name, password } = applicant;
    const elsewhere = await admins.confirmedAdmin({
      name,
      password,
      email: context.uniqueAddress('elsewhere'),
    });
    t.is(elsewhere.login.admin.name, name);

    t.is((await runCli(context, ['mail', 'unsuppress', email])).code, 0);
    await client.post('/auth/confirm/resend', { email });
    await eventually(async () => (await mailbox.mailsTo(email)).length === 2);
    t.deepEqual(problems, []);
  },
);

test.serial('a complaint comes after the delivery, and suppresses', async (t) => {
  const email = simulated('complaint');
  await system.admins.registerAdmin({ email });
  await mailArrives(email);
  t.is(await eventually(() => suppressionOf(email)), 'complaint');
  const { json } = await runCliJson(context, ['mail', 'show', email]);
  const steps = (json['messages'] as MailHistory[])[0]?.steps.map(({ step }) => step);
  t.deepEqual(steps?.slice(-2), ['delivered', 'complained']);
  const audited = await context.rows(
    `select a.details->>'reason' as reason from audit_events a join outbox o on o.id::text = a.details->>'outbox_id'
      where a.event = 'email_suppressed' and lower(o.recipient) = $1 and a.trace_id = o.trace_id`,
    [email],
  );
  t.deepEqual(audited, [{ reason: 'complaint' }]);
});

test.serial(
  'a mail to anybody else is delivered, and its history leads back to the request',
  async (t) => {
    const applicant = system.admins.applicant();
    const headers = { 'x-request-id': 'story-of-a-mail' };
    await system.client.post('/auth/register', applicant, { headers });
    await mailArrives(applicant.email);
    const history = await eventually(async () => {
      const { json } = await runCliJson(context, ['mail', 'show', applicant.email]);
      const [found] = json['messages'] as (MailHistory & { request_id: string })[];
      return found?.steps.some(({ step }) => step === 'delivered') ? found : undefined;
    });
    t.is(history.request_id, 'story-of-a-mail');
    t.is(await suppressionOf(applicant.email), undefined);
  },
);
