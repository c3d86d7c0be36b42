import { QueryTypes } from 'sequelize';
import * as z from 'zod';
import type { Database } from '../database/connect.js';
import { isSchemaCurrent } from '../database/schema-version.js';
import type { Queues } from '../queues/queues.js';

/** What one check found; numbers tell how far something lags. */
export interface CheckResult {
  readonly ok: boolean;
  readonly problem?: string;
  readonly [measure: string]: number | boolean | string | undefined;
}

/** Looks at one thing that the process needs. A rejection counts as not ok. */
export type Check = () => Promise<CheckResult>;

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
/** Pending for longer than this means that nobody relays. */
const MAX_PENDING_AGE_SECONDS = 120;

/** Runs all checks side by side, each for at most two seconds. */
export async function readiness(
  checks: Readonly<Record<string, Check>>,
): Promise<z.infer<typeof Readiness>> {
  const results = await Promise.all(
    Object.entries(checks).map(
      async ([name, check]) => [name, await bounded(name, check)] as const,
    ),
  );
  const isReady = results.every(([, { ok }]) => ok);
  return { status: isReady ? 'ready' : 'not_ready', checks: Object.fromEntries(results) };
}

/** The checks that both processes need. */
export function commonChecks(database: Database, queues: Queues): Record<string, Check> {
  return {
    postgres: async () => {
      await database.query('select 1', { type: QueryTypes.SELECT });
      return { ok: true };
    },
    redis: async () => {
      await queues.ping();
      return { ok: true };
    },
    migrations: async () =>
      (await isSchemaCurrent(database))
        ? { ok: true }
        : { ok: false, problem: 'migrations are pending' },
    outbox: () => checkOutbox(database),
  };
}

async function checkOutbox(database: Database): Promise<CheckResult> {
  const [row] = await database.query<{ pending: number; oldest: number }>(
    `select count(*)::int as pending,
            coalesce(extract(epoch from now() - min(available_at)), 0)::int as oldest
       from (select available_at from outbox
              where state = 'pending' and available_at <= now()
              order by available_at limit 10000) as due`,
    { type: QueryTypes.SELECT },
  );
  const { pending = 0, oldest = 0 } = row ?? {};
  const measures = { pending, oldest_pending_seconds: oldest };
  return oldest > MAX_PENDING_AGE_SECONDS
    ? { ok: false, problem: 'pending messages are not relayed', ...measures }
    : { ok: true, ...measures };
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
  } catch {
    // Why is in the log of whoever owns the connection; an answer to anybody must not quote a driver.
    return { ok: false, problem: `${name} cannot be reached` };
  } finally {
    clearTimeout(timer);
  }
}
