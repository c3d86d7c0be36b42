import { createMetrics } from '../../shared/metrics/metrics.js';
import { deriveKeyRing } from '../../shared/crypto/keys.js';
import type { Failpoint } from '../../shared/lifecycle/failpoint.js';
import { createDependencyFaults } from '../../workers/jobs/dependency-faults.js';
import { createMailBreaker } from '../../workers/mail/delivery/circuit-breaker.js';
import { createConnectionLimit } from '../../workers/mail/smtp/connection-limit.js';
import { createDeliverMail } from '../../workers/mail/delivery/deliver-mail.processor.js';
import { openSmtpMailer, defaultTimeouts } from '../../workers/mail/smtp/smtp.mailer.js';
import type { SmtpTimeouts } from '../../workers/mail/smtp/send-attempt.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { openSmtpServer, type SmtpBehaviour, type TestSmtpServer } from '../helpers/smtp-server.js';
import { jobContext, openFixture } from './fixture.js';

/** How a delivery differs from one that goes well. */
export interface DeliveryOptions {
  readonly smtp?: SmtpBehaviour;
  readonly credentials?: { username: string; password: string };
  readonly databaseUrl?: string;
  readonly poolMax?: number;
  readonly failpoint?: Failpoint;
  readonly limits?: Partial<SmtpTimeouts>;
  readonly claimMs?: number;
  readonly worker?: string;
  /** The mail server of another fixture, which has no behaviour of its own then. */
  readonly server?: TestSmtpServer;
}

/** The processor of mails as one worker has it, over real rows and a real mail server. */
export async function setUpDelivery(
  scope: Scope,
  context: TestContext,
  {
    smtp,
    credentials,
    databaseUrl,
    poolMax = 5,
    failpoint = () => undefined,
    limits = {},
    claimMs = 30_000,
    worker = 'test:1',
    server: sharedServer,
  }: DeliveryOptions = {},
) {
  const fixture = await openFixture(scope, context);
  const server = sharedServer ?? (await openSmtpServer(scope, smtp));
  const mailer = openSmtpMailer(
    {
      host: server.host,
      port: server.port,
      tls: 'optional',
      credentials,
      from: { name: 'Rollcall', address: 'no-reply@rollcall.example' },
      ratePerSecond: 100,
      connections: undefined,
      ehloName: undefined,
      configurationSet: undefined,
    },
    fixture.log,
    { ...defaultTimeouts, ...limits },
  );
  scope.teardown(() => mailer.close());
  const faults = createDependencyFaults();
  const connections = createConnectionLimit(20);
  const metrics = createMetrics('worker');
  const { log } = fixture;
  const breaker = createMailBreaker({ faults, metrics, log });
  const database = openTestDatabase(scope, databaseUrl ?? context.databaseUrl, { poolMax });
  const process = createDeliverMail({
    database,
    service: 'Rollcall',
    publicUrl: 'https://rollcall.example',
    rateLimitScale: 1,
    confirmationKeys: deriveKeyRing({ current: 'a secret', previous: [] }, 'confirmation'),
    mailer,
    connections,
    breaker,
    faults,
    failpoint,
    metrics,
    log,
    worker,
    claimMs,
  });
  const deliver = (
    { id, generation = 0 }: { id: string; generation?: number },
    tried = jobContext(),
  ): Promise<string> => process({ v: 1, outbox_id: id, generation }, tried);
  return {
    fixture,
    server,
    deliver,
    metrics,
    isCircuitOpen: async () => !(await faults.facts.smtp_circuit()).ok,
    connections,
    recovery: { database, faults, breaker, log },
    problem: async () => (await faults.checks.smtp()).problem,
  };
}
