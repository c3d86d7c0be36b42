import test from 'ava';
import { createAdmins } from '../../helpers/admins.js';
import { createClient } from '../../helpers/api-client.js';
import { shareProcess, useContext } from '../../helpers/context.js';
import { eventually } from '../../helpers/eventually.js';
import { startWorker } from '../../helpers/processes.js';
import { runApi, runWorker } from '../../helpers/servers.js';
import { openSmtpServer } from '../../helpers/smtp-server.js';
import { openTcpProxy } from '../../helpers/tcp-proxy.js';

shareProcess();

const context = useContext();
const MAILS = 30;
/** `OUTAGE_SECONDS=60` makes it a longer one than that of every day, which ends after a few looks. */
const OUTAGE_MS = 1_000 * Number(process.env['OUTAGE_SECONDS'] ?? 0);

for (const how of ['refuse', 'hangUp'] as const) {
  test.serial(
    `an outage of the mail server (${how}) costs no mail a try, ends by itself, and doubles nothing`,
    async (t) => {
      await context.rows('delete from outbox');
      const smtp = await openSmtpServer(t);
      const proxy = await openTcpProxy(t, `smtp://127.0.0.1:${smtp.port}`);
      const env = { MAIL_HOST: '127.0.0.1', MAIL_PORT: String(proxy.port) };
      const workers = [
        await runWorker(context, { scope: t, env }),
        await startWorker(context, { scope: t, env: { ...env, WORKER_ROLES: 'mail' } }),
      ];
      const downSince = performance.now();
      await proxy[how]();
      const api = await runApi(context, { scope: t });
      const admins = createAdmins(context, createClient(api.url));
      const emails: string[] = [];
      while (emails.length < MAILS) emails.push((await admins.registerAdmin()).email);
      // Several looks whether it is back, each after a longer rest.
      const isLongEnough = async (): Promise<boolean> =>
        performance.now() - downSince >= OUTAGE_MS && (await deferrals()) >= 4;
      await eventually(isLongEnough, { withinMs: 60_000 + OUTAGE_MS });
      t.true((await deferrals()) < MAILS, 'one at a time tries, not all of them');
      // One that is being tried right now counts until it is known how that went.
      await eventually(async () => (await countedTries()) <= 1);
      await proxy.restore();

      await eventually(async () => (await settled()) === MAILS);
      for (const email of emails) t.is(smtp.taken.filter(({ to }) => to.includes(email)).length, 1);
      t.is(smtp.taken.length, MAILS);
      t.is(await countedTries(), MAILS, 'each went at its first try that counts');
      const told = workers.flatMap((worker) => worker.logLines());
      t.false(told.some(({ message }) => message === 'job failed permanently'));
      t.true(told.some(({ message }) => message === 'SMTP server unreachable; mails wait'));
      t.true(told.some(({ message }) => message === 'SMTP server recovered'));
    },
  );
}

const numberOf = async (sql: string): Promise<number> =>
  (await context.rows<{ n: number }>(sql))[0]?.n ?? 0;
const deferrals = () =>
  numberOf(`select count(*)::int as n from deliveries where outcome = 'deferred'`);
const countedTries = () => numberOf('select coalesce(sum(attempts), 0)::int as n from outbox');
const settled = () => numberOf(`select count(*)::int as n from outbox where state = 'settled'`);
