import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { QueryTypes } from 'sequelize';
import type { Cause } from '../../../shared/audit/audit.js';
import type { Database } from '../../../shared/database/connect.js';
import { withTransaction, type Transaction } from '../../../shared/database/transaction.js';
import { AppError } from '../../../shared/errors/app-error.js';
import { conditionOf, DeadLetterFilter } from './dead-letter-filter.service.js';
import {
  countDeadLetters,
  decide,
  type DeadLetterAction,
  type DeadLetterDeps,
} from './dead-letters.service.js';

/** An action on every dead letter that fits a filter, as far as it has come. */
export interface BulkAction {
  readonly id: string;
  readonly action: DeadLetterAction;
  readonly filter: Readonly<Record<string, unknown>>;
  /** Messages a second. */
  readonly rate: number;
  readonly reason: string;
  /** Who ran the command that started it, or the operator in the console. */
  readonly actor: string | null;
  readonly operator_id: number | null;
  /** How many fitted when it started. */
  readonly total: number;
  /** How many it has acted upon. */
  readonly done: number;
  readonly state: 'running' | 'completed' | 'stopped';
  readonly created_at: Date;
  readonly finished_at: Date | null;
}

export interface NewBulkAction {
  readonly action: DeadLetterAction;
  readonly filter: DeadLetterFilter;
  /** Messages a second, more than 0 and at most {@link MAX_RATE}. */
  readonly rate: number;
}

export const MAX_RATE = 1_000;
/** Keeps each transaction short. */
const BATCH_SIZE = 100;
/** A stopped action leaves at most so many seconds' worth of mails that are due. */
const BATCH_SECONDS = 2;
/** A process that has not renewed its claim for so long has lost it: another carries the action on. */
const CLAIM_SECONDS = 30;
/** How long an action that failed waits, so that others are carried out meanwhile. */
const RETRY_SECONDS = 60;
const FOLLOW_EVERY_MS = 1_000;
const MAX_LISTED = 20;

const COLUMNS = `id, action, filter, rate, reason, actor, operator_id, total, done, state, created_at, finished_at`;

/**
 * Starts an action on every message that fits a filter. It is carried out by whoever runs {@link runBulkAction}: the process
 * that names itself here, or any API.
 * @param runner the process that will run it itself.
 * @throws {AppError} `validation_failed` for a rate out of bounds.
 */
export async function startBulkAction(
  deps: DeadLetterDeps,
  { action, filter, rate }: NewBulkAction,
  cause: Cause,
  runner?: string,
): Promise<BulkAction> {
  const { database, audit } = deps;
  if (!(rate > 0 && rate <= MAX_RATE))
    throw new AppError('validation_failed', {
      detail: `the rate is more than 0, up to ${MAX_RATE}`,
    });
  const total = await countDeadLetters(deps, filter);
  const id = randomUUID();
  return withTransaction(database, async (tx) => {
    const [started] = await database.query<BulkAction>(
      `insert into bulk_actions (id, action, filter, rate, reason, actor, operator_id, trace_id, total, claimed_by, claimed_until)
       values ($id, $action, $filter::jsonb, $rate, $reason, $actor, $operatorId, $traceId, $total, $runner,
               case when $runner::uuid is not null then now() + $claim * interval '1 second' end)
       returning ${COLUMNS}`,
      {
        type: QueryTypes.SELECT,
        transaction: tx,
        bind: {
          id,
          action,
          filter: JSON.stringify(filter),
          rate,
          reason: cause.reason ?? '',
          actor: cause.actor ?? null,
          operatorId: cause.operatorId ?? null,
          traceId: cause.traceId,
          total,
          runner: runner ?? null,
          claim: CLAIM_SECONDS,
        },
      },
    );
    if (!started) throw new Error('the action was not written');
    const details = { bulk_action: id, action, total, rate, ...withoutAddress(filter) };
    await audit.record('bulk_action_started', cause, { details }, tx);
    return started;
  });
}

/** The filter for the audit, which holds no addresses. */
function withoutAddress({ state, cause, mail, recipient, since, until }: DeadLetterFilter) {
  return {
    state,
    ...(cause !== undefined && { failure: cause }),
    ...(mail !== undefined && { mail }),
    ...(recipient !== undefined && { by_recipient: true }),
    ...(since && { since: since.toISOString() }),
    ...(until && { until: until.toISOString() }),
  };
}

/** Stops an action: no further batch begins. @throws {AppError} `not_found` unless it is running. */
export async function stopBulkAction(
  { database, audit }: DeadLetterDeps,
  id: string,
  cause: Cause,
): Promise<BulkAction> {
  return withTransaction(database, async (tx) => {
    const stopped = await finish(database, tx, id, 'stopped');
    if (!stopped) throw new AppError('not_found', { detail: 'no such action is running' });
    const { action, done, total } = stopped;
    const details = { bulk_action: id, action, done, total };
    await audit.record('bulk_action_stopped', cause, { details }, tx);
    return stopped;
  });
}

async function finish(
  database: Database,
  tx: Transaction,
  id: string,
  state: 'completed' | 'stopped',
): Promise<BulkAction | undefined> {
  const [row] = await database.query<BulkAction>(
    `update bulk_actions set state = $state, finished_at = now(), claimed_by = null, claimed_until = null
      where id = $id and state = 'running' returning ${COLUMNS}`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { id, state } },
  );
  return row;
}

/** The newest 20 actions. */
export function listBulkActions({
  database,
}: Pick<DeadLetterDeps, 'database'>): Promise<BulkAction[]> {
  return database.query<BulkAction>(
    `select ${COLUMNS} from bulk_actions order by created_at desc, id limit $limit`,
    { type: QueryTypes.SELECT, bind: { limit: MAX_LISTED } },
  );
}

/** @throws {AppError} `not_found`. */
export async function readBulkAction(
  { database }: Pick<DeadLetterDeps, 'database'>,
  id: string,
): Promise<BulkAction> {
  const [row] = await database.query<BulkAction>(
    `select ${COLUMNS} from bulk_actions where id = $id`,
    { type: QueryTypes.SELECT, bind: { id } },
  );
  if (!row) throw new AppError('not_found', { detail: 'there is no such action' });
  return row;
}

/** How an action is followed. */
export interface BulkRun {
  /** Names the process that runs it: a UUID. */
  readonly runner: string;
  /** Leaves the action to other processes, between two batches. */
  readonly signal: AbortSignal;
  readonly onProgress?: (action: BulkAction) => void;
  /** Whether to wait for the end when another process carries the action on. */
  readonly follows: boolean;
}

/**
 * Carries an action out in batches, each a short transaction that also records how far the action has come: a process that
 * is killed loses nothing and repeats nothing, and another takes the action over. Every message is considered once, so one
 * that fails again is not redriven again.
 * @returns the action at its end, or as it is when another process has it or the signal aborts.
 * @throws the database's error; the action goes on in another process.
 */
export async function runBulkAction(
  deps: DeadLetterDeps,
  id: string,
  { runner, signal, onProgress, follows }: BulkRun,
): Promise<BulkAction> {
  for (;;) {
    const startedAt = performance.now();
    const step = await withTransaction(deps.database, (tx) => runBatch(deps, tx, id, runner));
    onProgress?.(step.action);
    const isLeft = step.isOthers && !follows;
    if (step.action.state !== 'running' || isLeft) return step.action;
    const pauseMs = step.isOthers ? FOLLOW_EVERY_MS : step.paceMs - (performance.now() - startedAt);
    await delay(Math.max(0, pauseMs), undefined, { signal }).catch(() => undefined);
    if (signal.aborted) {
      await leave(deps.database, id, runner);
      return step.action;
    }
  }
}

interface Step {
  readonly action: BulkAction;
  /** True when another process has the action: nothing was done. */
  readonly isOthers: boolean;
  /** How long the batch has to take at the action's rate. */
  readonly paceMs: number;
}

type RunningRow = BulkAction & {
  readonly trace_id: string;
  readonly cursor_at: string | null;
  readonly cursor_id: string | null;
  readonly may_run: boolean;
};

async function runBatch(
  deps: DeadLetterDeps,
  tx: Transaction,
  id: string,
  runner: string,
): Promise<Step> {
  const { database } = deps;
  const [row] = await database.query<RunningRow>(
    `select ${COLUMNS}, trace_id, cursor_at::text, cursor_id,
            coalesce(claimed_by = $runner or claimed_until < now(), true) as may_run
       from bulk_actions where id = $id for update`,
    { type: QueryTypes.SELECT, transaction: tx, bind: { id, runner } },
  );
  if (!row) throw new AppError('not_found', { detail: 'there is no such action' });
  const { trace_id: _trace, cursor_at: _at, cursor_id: _id, may_run: mayRun, ...action } = row;
  if (action.state !== 'running' || !mayRun) return { action, isOthers: !mayRun, paceMs: 0 };

  const size = Math.min(BATCH_SIZE, Math.max(1, Math.ceil(row.rate * BATCH_SECONDS)));
  const batch = await nextMessages(database, tx, row, size);
  const ids = batch.map((message) => message.id);
  const done = ids.length === 0 ? 0 : await decide(deps, tx, decisionOf(row, ids), causeOf(row));
  const last = batch.at(-1);
  const [advanced] = await database.query<BulkAction>(
    `update bulk_actions
        set done = done + $done, cursor_at = coalesce($at::timestamptz, cursor_at), cursor_id = coalesce($last::uuid, cursor_id),
            claimed_by = $runner, claimed_until = now() + $claim * interval '1 second'
      where id = $id returning ${COLUMNS}`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: {
        id,
        done,
        at: last?.key ?? null,
        last: last?.id ?? null,
        runner,
        // The pause after the batch is part of the claim.
        claim: CLAIM_SECONDS + Math.ceil(size / row.rate),
      },
    },
  );
  const isLast = batch.length < size;
  const finished = isLast ? await complete(deps, tx, row) : undefined;
  return {
    action: finished ?? advanced ?? action,
    isOthers: false,
    paceMs: (batch.length / row.rate) * 1_000,
  };
}

const decisionOf = ({ id, action, rate }: RunningRow, ids: readonly string[]) => ({
  action,
  ids,
  ratePerSecond: rate,
  bulkAction: id,
});

/** The origin of the action, for what is done in its name. */
const causeOf = ({
  trace_id: traceId,
  actor,
  operator_id: operatorId,
  reason,
}: RunningRow): Cause => ({
  traceId,
  ...(actor !== null && { actor }),
  ...(operatorId !== null && { operatorId }),
  ...(reason !== '' && { reason }),
});

async function complete(
  { database, audit }: DeadLetterDeps,
  tx: Transaction,
  row: RunningRow,
): Promise<BulkAction | undefined> {
  const completed = await finish(database, tx, row.id, 'completed');
  if (completed) {
    const { id, action, done, total } = completed;
    const details = { bulk_action: id, action, done, total };
    await audit.record('bulk_action_completed', causeOf(row), { details }, tx);
  }
  return completed;
}

/** The next messages that fit, of those that were asked for before the action began. */
function nextMessages(
  database: Database,
  tx: Transaction,
  { filter, created_at: createdAt, cursor_at: at, cursor_id: id }: RunningRow,
  limit: number,
): Promise<{ id: string; key: string }[]> {
  const { sql, bind } = conditionOf(DeadLetterFilter.parse(filter));
  return database.query<{ id: string; key: string }>(
    `select id, created_at::text as key from outbox
      where ${sql} and created_at <= $createdAt
        ${at === null ? '' : 'and (created_at, id) > ($at::timestamptz, $id::uuid)'}
      order by created_at, id limit $limit for update`,
    {
      type: QueryTypes.SELECT,
      transaction: tx,
      bind: { ...bind, createdAt, limit, ...(at !== null && { at, id }) },
    },
  );
}

async function leave(database: Database, id: string, runner: string): Promise<void> {
  await database.query(
    `update bulk_actions set claimed_by = null, claimed_until = null where id = $id and claimed_by = $runner`,
    { bind: { id, runner } },
  );
}

/** Leaves an action that failed alone for a minute, after which any process tries it again. */
export async function postponeBulkAction(
  { database }: Pick<DeadLetterDeps, 'database'>,
  id: string,
  runner: string,
): Promise<void> {
  await database.query(
    `update bulk_actions set claimed_by = null, claimed_until = now() + $pause * interval '1 second'
      where id = $id and state = 'running' and coalesce(claimed_by = $runner or claimed_until < now(), true)`,
    { bind: { id, runner, pause: RETRY_SECONDS } },
  );
}

/** The oldest action that no process carries out, and none has postponed; undefined when there is none. */
export async function findUnclaimedBulkAction({
  database,
}: Pick<DeadLetterDeps, 'database'>): Promise<string | undefined> {
  const [row] = await database.query<{ id: string }>(
    `select id from bulk_actions
      where state = 'running' and (claimed_until is null or claimed_until < now())
      order by created_at limit 1`,
    { type: QueryTypes.SELECT },
  );
  return row?.id;
}
