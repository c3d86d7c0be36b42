import { randomUUID } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import pg from 'pg';
import { readMailTimeline } from '../../api/ops/mail/mail-timeline.service.js';
import { readOpenMessages } from '../../api/ops/mail/outbox-state.service.js';
import { createAudit } from '../../shared/audit/audit.js';
import { STATEMENT_SETTINGS, type Database } from '../../shared/database/connect.js';
import { withTransaction } from '../../shared/database/transaction.js';
import { findDeliveryFailure } from '../../shared/health/delivery-failure.js';
import { parseEmailAddress } from '../../shared/identity/email-address.js';
import { claimMessages } from '../../workers/mail/delivery/outbox-claim.js';
import { countMails, USUAL_LIMIT } from '../../workers/mail/mails/mail-limits.js';
import { suppress } from '../../workers/mail/suppressions.js';
import { purgeExpired } from '../../workers/tasks/purge-expired.js';
import { useApi } from '../helpers/api.js';
import { useContext } from '../helpers/context.js';
import { openTestDatabase } from '../helpers/database.js';
import { createRecordingLogger } from '../helpers/log.js';

const context = useContext();
const api = useApi(context);

interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: unknown[];
}

/** What this process has sent to PostgreSQL. */
const sent: Statement[] = [];
const { query } = pg.Client.prototype;
pg.Client.prototype.query = function recordStatement(this: pg.Client, ...args: unknown[]) {
  const [first, second] = args as [Statement | string, unknown];
  const values = Array.isArray(second) ? { values: second as unknown[] } : {};
  sent.push(typeof first === 'string' ? { text: first, ...values } : first);
  return Reflect.apply(query, this, args) as unknown;
} as typeof query;

/** Had as many mails as ten thousand others, all but three of them days ago. */
const FLOODED = 'flooded@x.test';

let database: Database;
test.serial.before('fill the tables', async () => {
  database = openTestDatabase(context, context.databaseUrl);
  await context.rows(
    `insert into outbox (id, name, payload, recipient, trace_id, state, outcome, created_at, settled_at, template)
     select gen_random_uuid(), 'send-confirmation-mail', jsonb_build_object('v', 1, 'confirmation_id', gen_random_uuid()),
            case when i % 2 = 0 then 'Flooded@x.test' else 'r' || i || '@x.test' end, 't', 'settled', 'sent',
            now() - interval '2 days' - i * interval '1 minute', now() - interval '1 day', 'confirmation'
       from generate_series(1, 20000) i`,
  );
  await context.rows(
    `insert into confirmations (id, purpose, email, email_canonical, nonce, created_at, expires_at, confirmed_at)
     select (payload->>'confirmation_id')::uuid, 'registration', recipient, lower(recipient), '', created_at,
            created_at + interval '1 day', created_at
       from outbox`,
  );
  await context.rows(
    `insert into audit_events (id, at, event, details)
     select gen_random_uuid(), now() - i * interval '1 minute',
            case when i % 1000 = 0 then 'email_suppression_lifted' else 'user_created' end,
            jsonb_build_object('outbox_id', gen_random_uuid(), 'suppression', 'bounce')
       from generate_series(1, 20000) i`,
  );
  await context.rows(
    `insert into admins (email, email_canonical, name, name_canonical, password_hash, confirmed_at, pending_email, updated_at)
     select 'a' || i || '@x.test', 'a' || i || '@x.test', 'A' || i, 'a' || i, '', now(),
            case when i % 1000 = 0 then 'new@x.test' end, now() - interval '1 day'
       from generate_series(1, 20000) i`,
  );
  await context.rows('analyze');
});

test.serial('what waits is found by the index of its state', async (t) => {
  for (const work of [() => findDeliveryFailure(database), () => readOpenMessages({ database })]) {
    const plan = await planOf('from outbox', work);
    t.notRegex(plan, /Seq Scan on outbox/, plan);
    for (const index of ['outbox_pending', 'outbox_enqueued']) t.true(plan.includes(index), plan);
  }
});

test.serial('a mail to an address with very many mails reads the recent ones only', async (t) => {
  const confirmationId = randomUUID();
  await context.rows(
    `insert into confirmations (id, purpose, email, email_canonical, nonce, expires_at)
     select id, 'registration', $2, $2, '', now() + interval '1 day' from unnest($1::uuid[]) id`,
    [[confirmationId, randomUUID()], FLOODED],
  );
  const outboxId = randomUUID();
  await context.rows(
    `insert into outbox (id, name, payload, recipient, trace_id)
     values ($1, 'send-confirmation-mail', jsonb_build_object('v', 1, 'confirmation_id', $2::text), $3, 't')`,
    [outboxId, confirmationId, FLOODED],
  );
  readsRecentOnly(
    t,
    await planOf('lower(other.recipient)', () =>
      claimMessages(database, [{ id: outboxId, generation: 0 }], { worker: 'w', claimMs: 1_000 }),
    ),
  );
  const mail = { outboxId, template: 'confirmation', limit: USUAL_LIMIT, confirmationId };
  readsRecentOnly(
    t,
    await planOf('lower(o.recipient)', () =>
      countMails(database, [{ ...mail, address: FLOODED }], 1),
    ),
    2,
  );
});

test.serial('a change to an address with very many mails reads the recent ones only', async (t) => {
  const admin = await api.admins.confirmedAdmin();
  const change = { email: FLOODED, current_password: admin.password };
  readsRecentOnly(
    t,
    await planOf('lower("recipient")', async () => {
      t.is((await admin.client.put('/auth/me', change)).status, 200);
    }),
  );
});

test.serial('the timeline of an address with very many mails reads the newest only', async (t) => {
  const address = parseEmailAddress(FLOODED);
  if (!address) throw new Error('no address');
  const plan = await planOf('lower(recipient)', async () => {
    t.is((await readMailTimeline({ database }, address)).messages.length, 100);
  });
  t.regex(plan, /Index Scan Backward using outbox_recipient_created/, plan);
});

test.serial('a bounce of an address with very many mails does not read them', async (t) => {
  const plan = await planOf('insert into suppressions', () => suppressFlooded());
  t.notRegex(plan, /Seq Scan|outbox_recipient/, plan);
  t.regex(plan, /Index Scan using outbox_pkey/, plan);
});

test.serial('a bounce before an operator readmitted its address suppresses nothing', async (t) => {
  await context.rows('delete from suppressions');
  await context.rows(
    `insert into audit_events (id, event, details)
     select gen_random_uuid(), 'email_suppression_lifted', jsonb_build_object('outbox_id', id, 'suppression', 'bounce')
       from outbox where lower(recipient) = $1 limit 1`,
    [FLOODED],
  );
  await suppressFlooded();
  t.deepEqual(await context.rows('select from suppressions'), []);
});

test.serial('the purge looks rows up by indexes, also without statistics', async (t) => {
  const links = await planOf('delete from confirmations', () => purgeExpired(database));
  t.regex(links, /Index Scan using confirmations_unused_expires .*\n\s+Index Cond/, links);
  await context.rows('delete from pg_statistic');
  const pending = await planOf('update admins set pending_email', () => purgeExpired(database));
  t.regex(pending, /Index Scan using admins_pending_email/, pending);
  t.regex(pending, /confirmations_admin/, pending);
  t.notRegex(pending, /Seq Scan/, pending);
  const registrations = await planOf('delete from registrations', () => purgeExpired(database));
  t.notRegex(
    registrations,
    /Anti Join|Seq Scan on confirmations|confirmations_unused_expires/,
    registrations,
  );
  t.regex(registrations, /confirmations_address/, registrations);
});

/** Every scan of the flooded address is bound in time, by the index. */
function readsRecentOnly(t: ExecutionContext, plan: string, scans = 1): void {
  const bounded = /outbox_recipient_created.*\n\s+Index Cond: .*recipient.*created_at/g;
  t.is(plan.match(bounded)?.length, scans, plan);
  t.notRegex(plan, /Seq Scan on outbox|on outbox_admin/, plan);
}

/** The plan of the one statement with this text that the work has run, as its own connection would make it. */
async function planOf(text: string, work: () => Promise<unknown>): Promise<string> {
  sent.length = 0;
  await work();
  const statement = sent.find((each) => each.text.includes(text));
  if (!statement) throw new Error(`no statement with ${text}`);
  const client = new pg.Client({ connectionString: context.databaseUrl });
  await client.connect();
  try {
    // What is prepared has one plan for all values.
    if (statement.name !== undefined) await client.query(STATEMENT_SETTINGS);
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      statement.name === undefined
        ? { text: `explain ${statement.text}`, values: statement.values ?? [] }
        : `explain (generic_plan) ${statement.text}`,
    );
    return rows.map((row) => row['QUERY PLAN']).join('\n');
  } finally {
    await client.end();
  }
}

async function suppressFlooded(): Promise<void> {
  const eventId = randomUUID();
  await context.rows(
    `insert into mail_events (id, provider_id, type, at, fingerprint) values ($1, 'p', 'bounced', now(), $2)`,
    [eventId, eventId],
  );
  const audit = createAudit(createRecordingLogger().log);
  const at = new Date(Date.now() - 86_400_000);
  const subject = { outboxId: randomUUID(), adminId: undefined };
  await withTransaction(database, (tx) =>
    suppress(
      { database, audit, tx, cause: { traceId: 't' }, subject },
      { address: FLOODED, recipient: FLOODED, reason: 'bounce', eventId, at },
    ),
  );
}
