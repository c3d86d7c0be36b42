import { randomBytes, randomUUID } from 'node:crypto';
import { sendConfirmationMail } from '../../shared/jobs/mail-jobs.js';
import type { Database } from '../../shared/database/connect.js';
import type { ConfirmationPurpose } from '../../shared/models/index.js';
import { openQueues, type Queues } from '../../shared/queues/queues.js';
import type { JobContext } from '../../workers/jobs/run-job.js';
import type { Scope, TestContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { eventually } from '../helpers/eventually.js';
import { createRecordingLogger, type RecordingLogger } from '../helpers/log.js';

/** What a worker's parts stand on, and the rows that they work with. */
export interface Fixture extends RecordingLogger {
  readonly database: Database;
  readonly queues: Queues;
  /**
   * An open confirmation, and the message that promises its mail: of a registration or, for any other purpose, of an admin
   * who is there.
   */
  promiseConfirmation(overrides?: ConfirmationOverrides): Promise<PromisedMail>;
  messageOf(id: string): Promise<MessageRow>;
  deliveriesOf(id: string): Promise<DeliveryRow[]>;
}

/** A mail that an outbox message promises. */
export interface PromisedMail {
  readonly id: string;
  /** `null` for a registration. */
  readonly adminId: number | null;
  readonly confirmationId: string;
  readonly email: string;
  readonly name: string;
}

/** How a confirmation differs from a fresh one. Times are SQL. */
export interface ConfirmationOverrides {
  readonly purpose?: ConfirmationPurpose;
  /** The address that has been registered. */
  readonly email?: string;
  readonly name?: string;
  readonly expiresAt?: string;
  readonly confirmedAt?: string;
  readonly supersededAt?: string;
  readonly message?: MessageOverrides;
}

/** How a message differs from one just written. Times are SQL. */
export interface MessageOverrides {
  readonly recipient?: string;
  readonly state?: string;
  readonly createdAt?: string;
  readonly availableAt?: string;
  readonly enqueuedAt?: string;
  readonly enqueueCount?: number;
}

/** An outbox row. */
export interface MessageRow {
  readonly state: string;
  readonly outcome: string | null;
  readonly generation: number;
  readonly attempts: number;
  readonly unanswered: number;
  readonly enqueue_count: number;
  readonly claimed_until: Date | null;
  readonly checked_at: Date | null;
  readonly enqueued_at: Date | null;
  readonly settled_at: Date | null;
  readonly last_error: string | null;
}

/** A row of deliveries. */
export interface DeliveryRow {
  readonly attempt: number;
  readonly worker: string;
  readonly finished_at: Date | null;
  readonly outcome: string | null;
  readonly response: string | null;
  readonly provider_id: string | null;
}

/** Sets the fixture for one test. */
export async function openFixture(
  scope: Scope,
  context: TestContext,
  redisUrl = context.redisUrl,
): Promise<Fixture> {
  const database = openTestDatabase(scope, context.databaseUrl);
  const recording = createRecordingLogger();
  const queues = openQueues({ url: redisUrl, logsUrl: redisUrl }, recording.log);
  scope.teardown(() => queues.close());
  await eventually(() => queues.ping().then(() => true), { of: 'Redis' });

  return {
    ...recording,
    database,
    queues,
    async promiseConfirmation(overrides = {}) {
      const isRegistration = ['registration', 'resend'].includes(
        overrides.purpose ?? 'registration',
      );
      const insert = isRegistration ? insertRegistration : insertAdmin;
      const inserted = await insert(context, overrides);
      // An admin asks for an address that it does not have yet.
      const isChange = overrides.purpose === 'email_change';
      const owner = isChange ? { ...inserted, email: context.uniqueAddress() } : inserted;
      const confirmationId = await insertConfirmation(context, owner, overrides);
      const id = await insertMessage(
        context,
        owner.adminId,
        sendConfirmationMail.name,
        { v: 1, confirmation_id: confirmationId },
        { recipient: owner.email, ...overrides.message },
      );
      return { id, confirmationId, ...owner };
    },
    async messageOf(id) {
      const [row] = await context.rows<MessageRow & Record<string, unknown>>(
        'select * from outbox where id = $1',
        [id],
      );
      if (!row) throw new Error(`no message ${id}`);
      return row;
    },
    deliveriesOf: (id) =>
      context.rows<DeliveryRow & Record<string, unknown>>(
        'select * from deliveries where outbox_id = $1 order by id',
        [id],
      ),
  };
}

/** Inserts an outbox message as it stands and resolves to its id. */
export async function insertMessage(
  context: TestContext,
  adminId: number | null,
  name: string,
  payload: unknown,
  overrides: MessageOverrides = {},
): Promise<string> {
  const id = randomUUID();
  const {
    state = 'pending',
    createdAt = 'now()',
    availableAt = 'now()',
    enqueuedAt = 'null',
    enqueueCount = 0,
    recipient = null,
  } = overrides;
  await context.rows(
    `insert into outbox (id, name, payload, admin_id, trace_id, state, enqueue_count, recipient, created_at, available_at, enqueued_at)
     values ($1, $2, $3, $4, $5, $6, $7, $8, ${createdAt}, ${availableAt}, ${enqueuedAt})`,
    [id, name, payload, adminId, randomBytes(16).toString('hex'), state, enqueueCount, recipient],
  );
  return id;
}

/** What a processor called without a queue is told. */
export interface TestJobContext extends JobContext {
  readonly fields: Record<string, unknown>;
  readonly replaced: Record<string, unknown>[];
  abort(): void;
}

/** The context of one try that no queue makes. */
export function jobContext({ isFirstAttempt = true, isLastAttempt = false } = {}): TestJobContext {
  const controller = new AbortController();
  const fields: Record<string, unknown> = {};
  const replaced: Record<string, unknown>[] = [];
  return {
    jobId: randomUUID(),
    isFirstAttempt,
    isLastAttempt,
    signal: controller.signal,
    abort: () => controller.abort(),
    fields,
    replaced,
    annotate: (more) => void Object.assign(fields, more),
    async replaceData(data) {
      replaced.push(data);
    },
  };
}

/** Inserts an admin. */
export async function insertAdmin(
  context: TestContext,
  {
    name = `Ada ${randomBytes(4).toString('hex')}`,
    email = context.uniqueAddress(),
  }: Pick<ConfirmationOverrides, 'name' | 'email'> = {},
): Promise<{ adminId: number; email: string; name: string }> {
  const [row] = await context.rows<{ id: number }>(
    `insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at)
     values ($1, $1, $2, $2, '', now()) returning id`,
    [email, name],
  );
  return { adminId: row?.id ?? 0, email, name };
}

async function insertRegistration(
  context: TestContext,
  {
    name = `Ada ${randomBytes(4).toString('hex')}`,
    email = context.uniqueAddress(),
  }: Pick<ConfirmationOverrides, 'name' | 'email'> = {},
): Promise<{ adminId: null; email: string; name: string }> {
  await context.rows(
    `insert into registrations (id, email, email_canonical, name, name_canonical, password_hash)
     values ($1, $2, $2, $3, $3, '')`,
    [randomUUID(), email, name],
  );
  return { adminId: null, email, name };
}

async function insertConfirmation(
  context: TestContext,
  { adminId, email }: { adminId: number | null; email: string },
  {
    purpose = 'registration',
    expiresAt = `now() + interval '24 hours'`,
    confirmedAt = 'null',
    supersededAt = 'null',
  }: ConfirmationOverrides,
): Promise<string> {
  const id = randomUUID();
  await context.rows(
    `insert into confirmations (id, admin_id, purpose, email, email_canonical, nonce, expires_at, confirmed_at, superseded_at)
     values ($1, $2, $5, $3, $3, $4, ${expiresAt}, ${confirmedAt}, ${supersededAt})`,
    [id, purpose === 'email_change' ? adminId : null, email, randomBytes(16), purpose],
  );
  return id;
}
