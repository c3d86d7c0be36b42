import * as z from 'zod';
import type { Database } from '../database/connect.js';
import { refusalOfDatabase } from '../database/failures.js';
import { checkWrites } from '../database/writes.js';
import { isSchemaCurrent } from '../database/schema-version.js';
import type { Logger } from '../logging/logger.js';
import type { Queues } from '../queues/queues.js';
import { refusalOfRedis } from '../queues/redis-refusals.js';
import type { Check, CheckResult } from './check.js';
import { checkOutbox } from './outbox-check.js';

export type { Check } from './check.js';

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

/** Runs all checks side by side, each for at most two seconds. A process that has begun to stop is not ready. */
export async function readiness(
  checks: Readonly<Record<string, Check>>,
  isStopping: () => boolean,
): Promise<z.infer<typeof Readiness>> {
  const results = await Promise.all(
    Object.entries(checks).map(
      async ([name, check]) => [name, await bounded(name, check)] as const,
    ),
  );
  const isReady = results.every(([, { ok }]) => ok) && !isStopping();
  return { status: isReady ? 'ready' : 'not_ready', checks: Object.fromEntries(results) };
}

/**
 * The checks that both processes need. With a logger, what goes wrong is told once, when it begins, and once when it is
 * over, however often somebody asks.
 */
export function commonChecks(
  database: Database,
  queues: Pick<Queues, 'ping' | 'pingLogs'>,
  log?: Logger,
): Record<string, Check> {
  const { pingLogs } = queues;
  const checks: Record<string, Check> = {
    postgres: async () => {
      await checkWrites(database);
      return { ok: true };
    },
    redis: () => answers(queues.ping()),
    ...(pingLogs && { redis_logs: () => answers(pingLogs()) }),
    migrations: async () =>
      (await isSchemaCurrent(database))
        ? { ok: true }
        : { ok: false, problem: 'migrations are pending' },
    outbox: () => checkOutbox(database),
  };
  if (!log) return checks;
  return Object.fromEntries(
    Object.entries(checks).map(([name, check]) => [name, telling(name, check, log)]),
  );
}

async function answers(ping: Promise<void>): Promise<CheckResult> {
  await ping;
  return { ok: true };
}

/** The check, with one line in the log for each outage. */
function telling(name: string, check: Check, log: Logger): Check {
  let isFailing = false;
  const tell = (fields: Record<string, unknown> | undefined): void => {
    const wasFailing = isFailing;
    isFailing = fields !== undefined;
    if (isFailing === wasFailing) return;
    if (fields) log.warn({ 'labels.check': name, ...fields }, 'readiness check failed');
    else log.info({ 'labels.check': name }, 'readiness check recovered');
  };
  return async () => {
    try {
      const result = await check();
      tell(result.ok ? undefined : { 'event.reason': result.problem });
      return result;
    } catch (error) {
      tell({ err: error });
      throw error;
    }
  };
}

async function bounded(name: string, check: Check): Promise<CheckResult> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<CheckResult>((resolve) => {
    timer = setTimeout(
      () => resolve({ ok: false, problem: `${name} did not answer in time` }),
      CHECK_TIMEOUT_MS,
    );
  });
  try {
    return await Promise.race([check(), timeout]);
  } catch (error) {
    // Why is for the log; an answer to anybody must not quote a driver.
    const refusal = refusalOfDatabase(error) ?? refusalOfRedis(error);
    return { ok: false, problem: `${name} ${refusal ?? 'cannot be reached'}` };
  } finally {
    clearTimeout(timer);
  }
}
