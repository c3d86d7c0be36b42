import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto';
import { createMetrics } from '../../shared/metrics/metrics.js';
import { createAudit } from '../../shared/audit/audit.js';
import { openWorkerHttp } from '../../workers/http/http.js';
import { createSesEvents } from '../../workers/mail/ses-events/ses-events.js';
import {
  createSnsVerifier,
  type FetchCertificate,
} from '../../workers/mail/ses-events/sns-signature.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { selfSignedCertificate, type Validity } from './certificates.js';
import { openFixture } from './fixture.js';

/** What the daemon is answered with. */
export interface SqsAnswer {
  readonly status: number;
  readonly type: string | null;
  readonly body: Readonly<Record<string, unknown>>;
}

/** How the worker differs from one that listens to any topic. */
export interface SesFixtureOptions {
  readonly topicArn?: string;
  readonly fetchCertificate?: FetchCertificate;
  readonly now?: () => number;
  readonly databaseUrl?: string;
}

/** The worker's `/sqs` over real rows. */
export async function openSesFixture(
  scope: Scope,
  context: TestContext,
  { topicArn, fetchCertificate = noCertificate, now, databaseUrl }: SesFixtureOptions = {},
) {
  const fixture = await openFixture(scope, context);
  const { log } = fixture;
  const database = openTestDatabase(scope, databaseUrl ?? context.databaseUrl);
  const verifier = createSnsVerifier(fetchCertificate, now);
  const metrics = createMetrics('worker');
  const audit = createAudit(log);
  const sesEvents = createSesEvents({ database, audit, verifier, topicArn, metrics, log });
  const tasks = { run: async () => ({}), stop: async () => undefined };
  const http = await openWorkerHttp(
    {
      sesEvents,
      tasks,
      metrics,
      metricsToken: undefined,
      checks: {},
      isStopping: () => false,
      drainState: () => 'working' as const,
      log,
    },
    { host: '127.0.0.1', port: 0 },
  );
  scope.teardown(() => http.close());
  const url = `http://127.0.0.1:${http.port}`;

  const post = async (
    body: string | Uint8Array,
    headers: Record<string, string> = {},
  ): Promise<SqsAnswer> => {
    const answer = await fetch(`${url}/sqs`, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/json',
        'user-agent': 'aws-sqsd/3.0.4',
        'x-aws-sqsd-msgid': randomUUID(),
        ...headers,
      },
    });
    return {
      status: answer.status,
      type: answer.headers.get('content-type'),
      body: (await answer.json()) as Record<string, unknown>,
    };
  };

  return {
    ...fixture,
    audit,
    url,
    post,
    postJson: (body: unknown, headers?: Record<string, string>) =>
      post(JSON.stringify(body), headers),
    /** A mail that the provider has taken under an id. */
    async sentMail() {
      const purpose = 'password_reset';
      const promised = await fixture.promiseConfirmation({
        purpose,
        message: { state: 'settled' },
      });
      const providerId = `0100${randomUUID()}-000000`;
      await context.rows('update outbox set recipient = $2 where id = $1', [
        promised.id,
        promised.email,
      ]);
      await context.rows(
        `insert into deliveries (outbox_id, attempt, worker, outcome, provider_id) values ($1, 1, 'w', 'sent', $2)`,
        [promised.id, providerId],
      );
      return { ...promised, adminId: promised.adminId ?? 0, providerId };
    },
    eventsOf: (providerId: string) =>
      context.rows<{
        id: string;
        outbox_id: string | null;
        type: string;
        subtype: string | null;
        detail: string | null;
        at: Date;
        message_id: string | null;
      }>('select * from mail_events where provider_id = $1 order by at, id', [providerId]),
    async suppressionOf(email: string) {
      const [row] = await context.rows<{ reason: string; event_id: string | null }>(
        'select reason, event_id from suppressions where email_canonical = lower($1)',
        [email],
      );
      return row;
    },
    auditOf: (adminId: number) =>
      context.rows<{ event: string; details: Record<string, unknown>; request_id: string }>(
        `select event, details, request_id from audit_events
          where admin_id = $1 and event like 'email_sup%' order by at, id`,
        [adminId],
      ),
  };
}

const noCertificate: FetchCertificate = async () => {
  throw new Error('no certificate');
};

/** The topic of the tests. */
export const TOPIC_ARN = 'arn:aws:sns:eu-west-1:123456789012:ses-events';

/** An event wrapped as SNS does, unsigned. */
export const envelope = (event: unknown, overrides: Record<string, unknown> = {}) => ({
  Type: 'Notification',
  MessageId: randomUUID(),
  TopicArn: TOPIC_ARN,
  Message: typeof event === 'string' ? event : JSON.stringify(event),
  Timestamp: '2026-11-22T12:00:00.000Z',
  UnsubscribeURL: 'https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe',
  ...overrides,
});

/** The signed fields of a notification without a subject, in the order that AWS documents. */
export const NOTIFICATION = ['Message', 'MessageId', 'Timestamp', 'TopicArn', 'Type'];

/** A key pair and a certificate that stand for those of SNS. */
export function createSigner() {
  const keys = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const certificateFor = (validity: Validity) => selfSignedCertificate(keys, validity);
  return {
    pem: certificateFor({ from: new Date('2000-01-01'), to: new Date('2100-01-01') }),
    /** Another certificate of the same key. */
    certificateFor,
    /** Signs the fields that AWS documents, in its order. */
    sign<M extends Readonly<Record<string, unknown>>>(
      message: M,
      version: '1' | '2',
      fields: readonly string[],
      url = 'https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-abc.pem',
    ) {
      const text = fields.map((name) => `${name}\n${String(message[name])}\n`).join('');
      const signature = createSign(version === '1' ? 'sha1' : 'sha256').update(text);
      return {
        ...message,
        SignatureVersion: version as string,
        Signature: signature.sign(keys.privateKey, 'base64'),
        SigningCertURL: url,
      };
    },
  };
}

/** The mail object of an event. */
export const mailObject = (providerId: string, outboxId?: string) => ({
  timestamp: '2026-11-22T11:59:00.000Z',
  messageId: providerId,
  source: 'no-reply@rollcall.example',
  destination: ['somebody@example.com'],
  ...(outboxId !== undefined && { tags: { outbox_id: [outboxId] } }),
});

const AT = '2026-11-22T12:00:00.000Z';

/** A bounce as SES tells it. */
export const bounceOf = (
  mail: object,
  emailAddress: string,
  type = 'Permanent/NoEmail',
  timestamp = AT,
) => {
  const [bounceType, bounceSubType] = type.split('/');
  const recipient = {
    emailAddress,
    action: 'failed',
    status: '5.1.1',
    diagnosticCode: `smtp; 550 5.1.1 <${emailAddress}>: no such user`,
  };
  const details = { bounceType, bounceSubType, bouncedRecipients: [recipient] };
  return { eventType: 'Bounce', mail, bounce: { ...details, timestamp, feedbackId: 'f' } };
};

/** A complaint as SES tells it. */
export const complaintOf = (
  mail: object,
  emailAddress: string,
  feedback: string | null,
  timestamp = AT,
) => ({
  eventType: 'Complaint',
  mail,
  complaint: {
    complainedRecipients: [{ emailAddress }],
    timestamp,
    complaintSubType: null,
    ...(feedback !== null && { complaintFeedbackType: feedback }),
  },
});

/** A delivery as SES tells it. */
export const deliveryOf = (mail: object, emailAddress: string) => ({
  eventType: 'Delivery',
  mail,
  delivery: {
    timestamp: AT,
    processingTimeMillis: 5,
    recipients: [emailAddress],
    smtpResponse: '250 2.6.0 taken',
    reportingMTA: 'x',
  },
});
