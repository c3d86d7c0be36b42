import * as z from 'zod';
import type { Database } from '../database/connect.js';
import { refusalOfDatabase } from '../database/failures.js';
import { findMissingRights, type Rights } from '../database/rights.js';
import { LOCALE_PROBLEM, LOWERS_ASCII } from '../database/locale.js';
import { checkWrites } from '../database/write-probe.js';
import { isSchemaCurrent } from '../database/schema-version.js';
import type { Statement } from '../database/statements.js';
import { networkCodeOf } from '../errors/network-code.js';
import { waitAtMost } from '../lifecycle/wait-at-most.js';
import type { Logger } from '../logging/logger.js';
import type { JobQueue } from '../queues/job-queue.js';
import type { Queues } from '../queues/queues.js';
import { refusalOfRedis } from '../queues/redis-refusals.js';
import { redisChecks, type Check, type CheckResult, type CommonCheck } from './checks.js';
import { checkOutbox } from './outbox-check.js';

/** Whether the process can do its work, and if not, why. */
export const Readiness = z.object({
  status: z.enum(['ready', 'not_ready']),
  checks: z.record(
    z.string(),
    z
      .object({ ok: z.boolean(), problem: z.string().optional() })
      .catchall(z.union([z.number(), z.boolean(), z.string()]).optional()),
  ),
});

const CHECK_TIMEOUT_MS = 2_000;
const SHARED_FOR_MS = 10_000;
const MAX_LISTED_RIGHTS = 5;

/** The answer to who asks for readiness: {@link runChecks} in words. A process that is shutting down is not ready. */
export async function readiness(
  checks: Readonly<Record<string, Check>>,
  isStopping: () => boolean,
): Promise<z.infer<typeof Readiness>> {
  const results = Object.entries(await runChecks(checks));
  const isReady = results.every(([, { ok }]) => ok) && !isStopping();
  return {
    status: isReady ? 'ready' : 'not_ready',
    checks: Object.fromEntries(results.map(([name, { kind: _kind, ...shown }]) => [name, shown])),
  };
}

/** Runs all checks concurrently, each for at most two seconds. Never rejects. */
export async function runChecks(
  checks: Readonly<Record<string, Check>>,
): Promise<Readonly<Record<string, CheckResult>>> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await run(name, check)] as const),
  );
  return Object.fromEntries(results);
}

const CONNECTED: Statement = {
  name: 'check-connected',
  text: `select ${LOWERS_ASCII} as "lowersAscii"`,
};

/**
 * The checks that both processes need; with rights, whether the role has them. With a logger, each outage is logged once when
 * it begins and once when it is over, however often readiness is requested.
 */
export function commonChecks(
  database: Database,
  queues: Pick<Queues, 'ping' | 'redisNames'> & { readonly mail: Pick<JobQueue, 'pauseOf'> },
  log?: Logger,
  rights?: Rights,
): Readonly<Record<string, Check>> {
  const checks: Partial<Record<CommonCheck, Check>> = {
    postgres: async () => {
      // Connections of both kinds: a server that takes no new ones still serves those that are open.
      const [[row]] = await Promise.all([
        database.statements.run<{ lowersAscii: boolean }>(CONNECTED, []),
        checkWrites(database),
      ]);
      return row?.lowersAscii === true
        ? { ok: true }
        : { ok: false, kind: 'unsuitable_locale', problem: `postgres ${LOCALE_PROBLEM}` };
    },
    ...Object.fromEntries(
      queues.redisNames.map((name) => [redisChecks[name], () => answers(queues.ping(name))]),
    ),
    migrations: async () =>
      (await isSchemaCurrent(database))
        ? { ok: true }
        : { ok: false, kind: 'migrations_pending', problem: 'migrations are pending' },
    ...(rights && { rights: () => checkRights(database, rights) }),
    outbox: async () => becauseOfPause(await checkOutbox(database), queues.mail),
  };
  return Object.fromEntries(
    Object.entries(checks).map(([name, check]) => [name, log ? logged(name, check, log) : check]),
  );
}

async function checkRights({ statements }: Database, rights: Rights): Promise<CheckResult> {
  const missing = await findMissingRights(statements, rights);
  if (missing.length === 0) return { ok: true };
  const others = missing.length - MAX_LISTED_RIGHTS;
  const listed = [
    ...missing.slice(0, MAX_LISTED_RIGHTS),
    ...(others > 0 ? [`${others} more`] : []),
  ].join('; ');
  return {
    ok: false,
    kind: 'rights_missing',
    problem: `the role in PostgreSQL lacks ${listed}`,
  };
}

/** Mails that nobody works on since an operator has paused the queue are no fault of a worker. */
async function becauseOfPause(
  result: CheckResult,
  queue: Pick<JobQueue, 'pauseOf'>,
): Promise<CheckResult> {
  if (result.kind !== 'not_processed') return result;
  const pause = await queue.pauseOf().catch(() => undefined);
  return pause
    ? { ...result, kind: 'queue_paused', problem: 'the queue mail was paused by an operator' }
    : result;
}

async function answers(ping: Promise<void>): Promise<CheckResult> {
  await ping;
  return { ok: true };
}

/**
 * The same checks for many callers: each is made once at a time, and at most once in `maxAgeMs` milliseconds. Whoever asks
 * again before gets what was found.
 */
export function shareResults(
  checks: Readonly<Record<string, Check>>,
  maxAgeMs = SHARED_FOR_MS,
): Readonly<Record<string, Check>> {
  const shared = (check: Check): Check => {
    let result: ReturnType<Check> | undefined;
    let madeAt = -Infinity;
    let isRunning = false;
    return () => {
      const now = performance.now();
      // One that never ends is asked again, once nobody waits for it any more.
      const sharedForMs = isRunning ? Math.max(maxAgeMs, CHECK_TIMEOUT_MS) : maxAgeMs;
      if (result && now - madeAt < sharedForMs) return result;
      madeAt = now;
      isRunning = true;
      result = check().finally(() => {
        isRunning = false;
      });
      return result;
    };
  };
  return Object.fromEntries(Object.entries(checks).map(([name, check]) => [name, shared(check)]));
}

/** The check, with one log line when it begins to fail and one when it recovers. */
function logged(name: string, check: Check, log: Logger): Check {
  let isFailing = false;
  const report = (failure: Record<string, unknown> | undefined): void => {
    const wasFailing = isFailing;
    isFailing = failure !== undefined;
    if (isFailing === wasFailing) return;
    if (failure) log.warn({ 'labels.check': name, ...failure }, 'readiness check failed');
    else log.info({ 'labels.check': name }, 'readiness check recovered');
  };
  return async () => {
    try {
      const result = await check();
      report(result.ok ? undefined : { 'event.reason': result.problem });
      return result;
    } catch (error) {
      report({ err: error });
      throw error;
    }
  };
}

/** Runs a check within its time; a rejection becomes a result. */
async function run(name: string, check: Check): Promise<CheckResult> {
  try {
    const result = await waitAtMost(CHECK_TIMEOUT_MS, check());
    return result ?? { ok: false, problem: `${name} did not answer in time` };
  } catch (error) {
    // The reason is logged; a public answer must not quote a driver.
    const refusal = refusalOfDatabase(error) ?? refusalOfRedis(error);
    if (refusal) return { ok: false, kind: refusal.kind, problem: `${name} ${refusal.problem}` };
    const code = networkCodeOf(error);
    const cause = code === undefined ? '' : ` (${code})`;
    return { ok: false, problem: `${name} cannot be reached${cause}` };
  }
}
