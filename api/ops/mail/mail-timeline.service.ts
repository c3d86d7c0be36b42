import { QueryTypes } from 'sequelize';
import type { Database } from '../../../shared/database/connect.js';
import { uuidIn } from '../../../shared/database/ids.js';
import type { EmailAddress } from '../../../shared/identity/email-address.js';
import type { MailEventType } from '../../../shared/models/index.js';

/** One event in the history of a message. */
export type MailStep =
  | { readonly at: Date; readonly step: 'asked' }
  | { readonly at: Date; readonly step: 'enqueued'; readonly times: number }
  | {
      readonly at: Date;
      readonly step: 'tried';
      readonly attempt: number;
      readonly worker: string;
      /** Null while the attempt is in progress, or if the worker died. */
      readonly finished_at: Date | null;
      readonly outcome: string | null;
      readonly response: string | null;
      readonly provider_id: string | null;
    }
  | {
      readonly at: Date;
      readonly step: MailEventType;
      readonly subtype: string | null;
      readonly detail: string | null;
      readonly provider_id: string;
    }
  | {
      readonly at: Date;
      /** What an operator decided; `unsuppressed`: lifted the suppression that this mail's bounce or complaint caused. */
      readonly step: 'redriven' | 'discarded' | 'unsuppressed';
      readonly error: string | null;
      readonly reason: string | null;
      /** Who ran the command, or null for an operator in the console. */
      readonly actor: string | null;
      readonly operator_id: number | null;
    }
  /** The recipient took its complaint back, which lifted the suppression. */
  | { readonly at: Date; readonly step: 'withdrawn' }
  | { readonly at: Date; readonly step: 'settled'; readonly outcome: string | null };

/** A mail and its history, in order. */
export interface MailHistory {
  readonly id: string;
  /** The job, and its subject: `send-confirmation-mail`, `registration`. */
  readonly mail: string;
  readonly about: string | null;
  readonly recipient: string | null;
  readonly asked_at: Date;
  readonly trace_id: string;
  /** The request that caused it: the client's request id, and the server's span id. */
  readonly request_id: string | null;
  readonly span_id: string | null;
  readonly state: string;
  readonly outcome: string | null;
  readonly attempts: number;
  /** How often operators have redriven it. */
  readonly redrives: number;
  readonly available_at: Date;
  readonly last_error: string | null;
  readonly steps: readonly MailStep[];
}

/** Everything known about the mails to an address. */
export interface MailTimeline {
  readonly address: string;
  readonly suppressed: { readonly reason: string; readonly since: Date } | null;
  /** Unconfirmed registrations of the address. */
  readonly registrations: number;
  /** The admin that has the address. */
  readonly admin: {
    readonly id: number;
    readonly confirmed_at: Date;
    readonly has_pending_address: boolean;
  } | null;
  /** The newest 100, the oldest of them first. */
  readonly messages: readonly MailHistory[];
}

type HistoryRow = Omit<MailHistory, 'steps'> & {
  readonly enqueued_at: Date | null;
  readonly enqueue_count: number;
  readonly settled_at: Date | null;
};
type StepRow = MailStep & { readonly outbox_id: string };

const MAX_MESSAGES = 100;

/** One mail and its history; undefined when there is none with this id. */
export async function readMailHistory(
  { database }: { readonly database: Database },
  id: string,
): Promise<MailHistory | undefined> {
  const rows = await select<HistoryRow>(
    database,
    `select ${HISTORY_COLUMNS} from outbox o ${WITH_CONFIRMATION} where o.id = $id`,
    { id },
  );
  const [history] = await historiesOf(database, rows);
  return history;
}

/**
 * The mails that were enqueued to an address and those of the admin who has it, each from its cause to the provider's
 * events. Contains no links and no tokens: none are stored.
 */
export async function readMailTimeline(
  { database }: { readonly database: Database },
  { address, canonical }: EmailAddress,
): Promise<MailTimeline> {
  const [admin] = await select<NonNullable<MailTimeline['admin']>>(
    database,
    `select id, confirmed_at, pending_email is not null as has_pending_address
       from admins where email_canonical = $canonical`,
    { canonical },
  );
  const [waiting] = await select<{ registrations: number }>(
    database,
    'select count(*)::int as registrations from registrations where email_canonical = $canonical',
    { canonical },
  );
  const [suppressed] = await select<NonNullable<MailTimeline['suppressed']>>(
    database,
    'select reason, created_at as since from suppressions where email_canonical = $canonical',
    { canonical },
  );
  const rows = await newestMessages(database, canonical, admin?.id ?? null);
  return {
    address,
    suppressed: suppressed ?? null,
    registrations: waiting?.registrations ?? 0,
    admin: admin ?? null,
    messages: await historiesOf(database, rows),
  };
}

const select = <R extends object>(
  database: Database,
  sql: string,
  bind: Record<string, unknown>,
): Promise<R[]> => database.query<R>(sql, { type: QueryTypes.SELECT, bind });

const HISTORY_COLUMNS = `o.id, o.name as mail, coalesce(o.template, c.purpose, o.payload->>'notice') as about, o.recipient,
            o.created_at as asked_at, o.trace_id, o.request_id, o.span_id, o.state, o.outcome, o.attempts, o.redrives, o.available_at, o.last_error,
            o.enqueued_at, o.enqueue_count, o.settled_at`;
const WITH_CONFIRMATION = `left join confirmations c on c.id = ${uuidIn("o.payload->>'confirmation_id'")}`;

async function newestMessages(
  database: Database,
  canonical: string,
  adminId: number | null,
): Promise<HistoryRow[]> {
  const rows = await select<HistoryRow>(
    database,
    `select ${HISTORY_COLUMNS}
       from (
         (select * from outbox where lower(recipient) = $canonical order by created_at desc limit $limit)
         union
         (select * from outbox where admin_id = $adminId order by created_at desc limit $limit)
       ) o
       ${WITH_CONFIRMATION}
      order by o.created_at desc limit $limit`,
    { canonical, adminId, limit: MAX_MESSAGES },
  );
  return rows.toReversed();
}

async function historiesOf(
  database: Database,
  rows: readonly HistoryRow[],
): Promise<MailHistory[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  const steps = [
    ...(await select<StepRow>(
      database,
      `select outbox_id, started_at as at, 'tried' as step, attempt, worker, finished_at, outcome, response, provider_id
         from deliveries where outbox_id = any($ids::uuid[]) order by id`,
      { ids },
    )),
    ...(await select<StepRow>(
      database,
      `select outbox_id, at, type as step, subtype, detail, provider_id
         from mail_events where outbox_id = any($ids::uuid[]) order by at, id`,
      { ids },
    )),
    ...(await decisionsAbout(database, rows, ids)),
  ];
  return rows.map((row) => historyOf(row, steps));
}

/** The decisions of operators and of recipients, from the audit. */
function decisionsAbout(
  database: Database,
  rows: readonly HistoryRow[],
  ids: readonly string[],
): Promise<StepRow[]> {
  return select<StepRow>(
    database,
    `select details->>'outbox_id' as outbox_id, at,
            case when event = 'mail_redriven' then 'redriven' when event = 'mail_discarded' then 'discarded'
                 when details->>'suppression' is null then 'withdrawn' else 'unsuppressed' end as step,
            details->>'error' as error, details->>'reason' as reason, details->>'actor' as actor,
            (details->>'operator_id')::int as operator_id
       from audit_events
      where event in ('mail_redriven', 'mail_discarded', 'email_suppression_lifted') and at >= $since
        and details->>'outbox_id' = any($ids::text[])
      order by at, id`,
    { ids, since: rows[0]?.asked_at },
  );
}

/**
 * When a message was put on the queue. It is marked as enqueued once its job is there, by when a worker may already have
 * begun its first attempt.
 */
function beforeItsAttempt(
  enqueuedAt: Date,
  { asked_at, enqueue_count }: HistoryRow,
  steps: readonly MailStep[],
): Date {
  const since = steps.findLast(({ step }) => step === 'redriven')?.at ?? asked_at;
  const first = steps.find(({ step, at }) => step === 'tried' && at >= since);
  return enqueue_count === 1 && first && first.at < enqueuedAt ? first.at : enqueuedAt;
}

function historyOf(row: HistoryRow, all: readonly StepRow[]): MailHistory {
  const { enqueued_at, enqueue_count, settled_at, ...history } = row;
  const own: MailStep[] = all
    .filter(({ outbox_id: id }) => id === row.id)
    .map(({ outbox_id: _id, ...step }) => step as MailStep);
  const steps: MailStep[] = [
    { at: row.asked_at, step: 'asked' },
    ...(enqueued_at
      ? [
          {
            at: beforeItsAttempt(enqueued_at, row, own),
            step: 'enqueued',
            times: enqueue_count,
          } as const,
        ]
      : []),
    ...own,
    // What an operator discarded is shown by the audit.
    ...(settled_at && row.outcome !== 'discarded'
      ? [{ at: settled_at, step: 'settled', outcome: row.outcome } as const]
      : []),
  ];
  return {
    ...history,
    steps: steps.toSorted((a, b) => a.at.getTime() - b.at.getTime()),
  };
}
