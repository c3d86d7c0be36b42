import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { json } from 'node:stream/consumers';
import { createMetrics } from '../../../shared/metrics/metrics.js';
import { startAlerting, type AlertingSettings } from '../../../shared/alerts/alerting.js';
import type { NoticeChannel } from '../../../shared/alerts/notice.js';
import type { Check, CheckResult } from '../../../shared/health/checks.js';
import { commonChecks } from '../../../shared/health/readiness.js';
import type { SpoolUse } from '../../../shared/log-shipping/open-logging.js';
import { openQueues } from '../../../shared/queues/queues.js';
import { createAlertMails } from '../../../workers/mail/alert-mail.js';
import { openSmtpMailer } from '../../../workers/mail/smtp/smtp.mailer.js';
import type { Scope, TestContext } from '../../helpers/context.js';
import { openTestDatabase } from '../../helpers/database.js';
import { eventually } from '../../helpers/eventually.js';
import { createRecordingLogger } from '../../helpers/log.js';

/** An HTTP server that keeps what it is sent. */
export async function openReceiver(
  scope: Scope,
  answer: (call: number) => { status: number; location?: string } = () => ({ status: 200 }),
) {
  const bodies: Record<string, unknown>[] = [];
  let calls = 0;
  const read = async (req: IncomingMessage): Promise<void> => {
    if (req.method === 'POST') bodies.push((await json(req)) as Record<string, unknown>);
  };
  const server = createServer((req, res) => {
    const { status, location } = answer((calls += 1));
    void read(req).then(() =>
      res.writeHead(status, location === undefined ? {} : { location }).end(),
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  scope.teardown(close);
  const alerts = () =>
    bodies.flatMap((body) => body['alerts'] as { readonly name: string; readonly state: string }[]);
  return { url: `http://127.0.0.1:${port}`, bodies, alerts, calls: () => calls, close };
}

/** A check that fails while the fault has a problem. */
export const checkOf =
  (fault: Pick<CheckResult, 'problem' | 'kind'>): Check =>
  async () =>
    fault.problem === undefined ? { ok: true } : { ok: false, ...fault };

type Log = ReturnType<typeof createRecordingLogger>['log'];

export function mailsTo(
  scope: Scope,
  { host, port }: { readonly host: string; readonly port: number },
  log: Log,
): NoticeChannel[] {
  const mail = {
    host,
    port,
    tls: 'optional' as const,
    credentials: undefined,
    from: { name: 'Rollcall', address: 'no-reply@rollcall.test' },
    ratePerSecond: 100,
    connections: 2,
    ehloName: undefined,
    configurationSet: undefined,
  };
  const mailer = openSmtpMailer(mail, log);
  scope.teardown(() => mailer.close());
  return createAlertMails(mailer, {
    mail,
    alerts: {
      emails: ['one@ops.test', 'two@ops.test'],
      webhookUrl: undefined,
      heartbeatUrl: undefined,
      runbookUrl: 'http://localhost/ops/runbook',
    },
  });
}

interface StartOptions {
  readonly urls?: { readonly postgres?: string; readonly redis?: string };
  readonly checks?: Readonly<Record<string, Check>>;
  readonly channels?: (log: Log) => NoticeChannel[];
  readonly heartbeatUrl?: string;
  readonly spoolUse?: () => SpoolUse;
  readonly times?: Partial<AlertingSettings['times']>;
}

/** What each process starts, at the pace of a test. */
export async function start(scope: Scope, context: TestContext, options: StartOptions) {
  const { log, messages } = createRecordingLogger();
  const database = openTestDatabase(
    scope,
    options.urls?.postgres ?? context.databaseUrl,
    options.urls?.postgres === undefined ? {} : { timeoutMs: 1_000 },
  );
  const redis = options.urls?.redis ?? context.redisUrl;
  const queues = openQueues({ url: redis, logsUrl: redis }, log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true), { of: 'Redis' });
  let looked = 0;
  const alerting = startAlerting(
    {
      database,
      queues,
      log,
      metrics: createMetrics('api'),
      checks: {
        ...commonChecks(database, queues),
        ...options.checks,
        counted: async () => ({ ok: (looked += 1) > 0 }),
      },
      neededRoles: [],
      spoolUse: options.spoolUse ?? (() => undefined),
      channels: options.channels?.(log) ?? [],
      heartbeatUrl: options.heartbeatUrl,
      environment: 'test',
      runbookUrl: 'http://localhost/ops/runbook',
    },
    {
      everyMs: 30,
      unseenMs: 300,
      presenceAfterMs: 0,
      tasksAfterMs: 60_000,
      times: { gatherMs: 0, gapMs: 0, sameStateMs: 0, claimMs: 60_000, ...options.times },
    },
  );
  scope.teardown(() => alerting.stop());
  return { messages, looked: () => looked, stop: () => alerting.stop() };
}

/** Resolves when each process has looked a few times more: what it does at once it has done by then. */
export async function looks(processes: readonly { looked(): number }[]): Promise<void> {
  const until = processes.map(({ looked }) => looked() + 4);
  await eventually(() => processes.every(({ looked }, i) => looked() >= (until[i] ?? 0)), {
    of: 'some more looks',
  });
}

/** The names of the open alerts. */
export async function openAlerts({ rows }: TestContext): Promise<string[]> {
  const open = await rows<{ name: string }>(
    'select name from alerts where cleared_at is null order by name',
  );
  return open.map(({ name }) => name);
}

/** How many notices are recorded as sent on the channel. */
export async function sentOn({ rows }: TestContext, channel: string): Promise<number> {
  const sent = await rows('select from alert_notices where channel = $1 and sent_at is not null', [
    channel,
  ]);
  return sent.length;
}
