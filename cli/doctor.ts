import { constants } from 'node:fs';
import { access, readdir, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { QueryTypes } from 'sequelize';
import { readOutboxState } from '../api/ops/outbox-state.service.js';
import {
  ConfigError,
  loadApiConfig,
  loadQueueToolConfig,
  loadWorkerConfig,
  type Environment,
} from '../shared/config/config.js';
import { openDatabase, type Database } from '../shared/database/connect.js';
import { refusalOfDatabase } from '../shared/database/failures.js';
import { isSchemaCurrent } from '../shared/database/schema-version.js';
import { tryWrite } from '../shared/database/writes.js';
import { checkOutbox, findDeliveryFailure } from '../shared/health/outbox-check.js';
import { connectRedis } from '../shared/queues/redis-client.js';
import { problemsOfRedis, readRedisFacts, type RedisFacts } from '../shared/queues/redis-facts.js';
import { tryWrites } from '../shared/queues/redis-probe.js';
import { refusalOfRedis } from '../shared/queues/redis-refusals.js';
import {
  queueRegistry,
  redisInstances,
  type QueueName,
  type RedisInstance,
  type RedisName,
} from '../shared/queues/registry.js';
import { refuseArguments, type CommandResult, type Arguments, type Command } from './command.js';

/** When each check of the doctor passes, in Markdown. The runbook's table is generated from this list. */
export const doctorChecks = {
  configuration: 'the environment is complete for the API or for the worker',
  postgres:
    'PostgreSQL answers and writes a row, which is rolled back: [down](#postgresql-is-down), [refuses writes](#postgresql-refuses-writes)',
  'time-outs':
    '`statement_timeout` took effect; shown only if not: [connection poolers](#connection-poolers)',
  migrations: 'none is pending',
  mail: 'a mail was sent within ten minutes, or none has failed for longer; shown only if not: [mail](#mail-does-not-arrive)',
  outbox: 'messages are relayed and worked on: [the outbox](#the-outbox-grows-old)',
  'dead letters': 'no mail was given up, and none is perhaps sent: [dead letters](#dead-letters)',
  redis:
    'the Redis of `REDIS_URL` answers, writes, has room and is set up to hold queues: [refuses commands](#redis-refuses-commands), [full](#redis-is-full)',
  'redis (logs)': 'the same for the Redis of `REDIS_URL_LOGS`, if that is a different Redis',
  'log spool':
    "with `FIREHOSE_DELIVERY_STREAM`: this host's spool is writable and less than 75 % full: [logs](#logs-do-not-reach-firehose)",
} as const satisfies Readonly<Record<string, string>>;

type DoctorCheck = keyof typeof doctorChecks;

const redisChecks = {
  main: 'redis',
  logs: 'redis (logs)',
} as const satisfies Record<RedisName, DoctorCheck>;

/** Whether all is well. */
export const doctorCommands: readonly Command[] = [
  {
    name: 'doctor',
    summary: 'checks everything that Rollcall depends on, and says what to do',
    run: doctor,
  },
];

/** The result of one check. */
interface Finding {
  readonly check: DoctorCheck;
  readonly ok: boolean;
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

async function doctor(args: Arguments): Promise<CommandResult> {
  refuseArguments(args);
  const findings = await examine(args.env);
  const isOk = findings.every(({ ok }) => ok);
  return {
    isOk,
    facts: { checks: findings },
    lines: findings.flatMap(({ check, ok, found, advice }) => {
      const line = `${ok ? 'ok     ' : 'PROBLEM'}  ${check.padEnd(14)}${found}`;
      return advice === undefined ? [line] : [line, `${' '.repeat(23)}${advice}`];
    }),
  };
}

type Config = ReturnType<typeof loadQueueToolConfig>;

async function examine(env: Environment): Promise<Finding[]> {
  const config = faultsOf(() => loadQueueToolConfig(env));
  if (config instanceof ConfigError) return [misconfigured(faultsIn(config))];
  const [ofDatabase, ...ofRedis] = await Promise.all([
    examineDatabase(config),
    ...redisInstances(config.redis).map((redis) => examineRedis(redis, config.isProduction)),
  ]);
  return [
    examineConfig(env),
    ...ofDatabase,
    ...ofRedis.flat(),
    ...(config.spool ? [await examineSpool(config.spool)] : []),
  ];
}

function faultsOf<C>(load: () => C): C | ConfigError {
  try {
    return load();
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

const misconfigured = (found: string): Finding => ({
  check: 'configuration',
  ok: false,
  found,
  advice: 'Set these variables; the README has the table.',
});

const faultsIn = ({ faults }: ConfigError): string =>
  faults.map(({ variable, problem }) => `${variable} ${problem}`).join('; ');

/** A host may run the API or the worker: one of the two must be able to start with this environment. */
function examineConfig(env: Environment): Finding {
  const api = faultsOf(() => loadApiConfig(env));
  const worker = faultsOf(() => loadWorkerConfig(env));
  if (api instanceof ConfigError && worker instanceof ConfigError)
    return misconfigured(`for the API: ${faultsIn(api)}; for the worker: ${faultsIn(worker)}`);
  const fit = [
    ...(api instanceof ConfigError ? [] : ['the API']),
    ...(worker instanceof ConfigError ? [] : ['the worker']),
  ];
  return { check: 'configuration', ok: true, found: `complete for ${fit.join(' and ')}` };
}

async function examineDatabase({ database: address }: Config): Promise<Finding[]> {
  const database = openDatabase(address, 'rollcall-cli');
  try {
    const session = await describeSession(database);
    const postgres: Finding = { check: 'postgres', ok: true, found: `version ${session.version}` };
    if (!(await isSchemaCurrent(database))) {
      const advice = 'Run `node dist/migrations/run.js`.';
      const found = 'migrations are pending';
      return [postgres, { check: 'migrations', ok: false, found, advice }];
    }
    await tryWrite(database);
    return [
      postgres,
      ...checkTimeouts(session, address),
      { check: 'migrations', ok: true, found: 'none is pending' },
      ...(await examineOutbox(database)),
    ];
  } catch (error) {
    const refusal = refusalOfDatabase(error);
    const found = refusal === undefined ? messageOf(error) : `${refusal}: ${messageOf(error)}`;
    const advice =
      refusal === 'refuses writes'
        ? 'See the runbook: PostgreSQL refuses writes. Until then the API answers 503 to requests that write, and no mail is sent.'
        : 'Start PostgreSQL or restore the connection; until then the API answers 503 and no mail is sent.';
    return [{ check: 'postgres', ok: false, found, advice }];
  } finally {
    await database.close();
  }
}

interface Session {
  readonly version: string;
  /** 0: statements have no time limit. */
  readonly statementTimeoutMs: number;
}

async function describeSession(database: Database): Promise<Session> {
  const [row] = await database.query<Session>(
    `select current_setting('server_version') as version,
            (select setting::int from pg_settings where name = 'statement_timeout') as "statementTimeoutMs"`,
    { type: QueryTypes.SELECT },
  );
  return row ?? { version: 'unknown', statementTimeoutMs: 0 };
}

/** Each session sets its time-out when it connects, unless a pooler drops the option. */
function checkTimeouts(
  { statementTimeoutMs }: Session,
  { user, name, timeoutMs }: Config['database'],
): Finding[] {
  if (statementTimeoutMs > 0) return [];
  return [
    {
      check: 'time-outs',
      ok: false,
      found:
        'statement_timeout did not take effect: PostgreSQL is reached through a connection pooler',
      advice: `Run \`alter role "${user}" in database "${name}" set statement_timeout = ${timeoutMs}\`; see the runbook: Connection poolers.`,
    },
  ];
}

const MAIL_ADVICE = 'They are retried until it works. See the runbook: Mail does not arrive.';

async function examineOutbox(database: Database): Promise<Finding[]> {
  const { ok, problem } = await checkOutbox(database);
  const { pending, enqueued, dead, uncertain } = await readOutboxState({ database });
  const open = `${pending.count} pending, ${enqueued.count} enqueued`;
  const failure = await findDeliveryFailure(database);
  const mail: Finding[] =
    failure === undefined
      ? []
      : [{ check: 'mail', ok: false, found: failure, advice: MAIL_ADVICE }];
  return [
    ...mail,
    ok
      ? { check: 'outbox', ok, found: open }
      : {
          check: 'outbox',
          ok,
          found: `${problem ?? 'messages do not move on'} (${open})`,
          advice:
            'Is a worker with the roles `mail` and `relay` running? See the runbook: The outbox grows old.',
        },
    dead.count + uncertain.count === 0
      ? { check: 'dead letters', ok: true, found: 'none' }
      : {
          check: 'dead letters',
          ok: false,
          found: `${dead.count} given up, ${uncertain.count} perhaps sent`,
          advice: 'List them with `mail dead`, then `mail redrive` or `mail discard` each.',
        },
  ];
}

async function examineRedis(
  { name, url, queues }: RedisInstance,
  isProduction: boolean,
): Promise<Finding[]> {
  const check = redisChecks[name];
  let facts: RedisFacts;
  try {
    facts = await askRedis(url, queues);
  } catch (error) {
    const refusal = refusalOfRedis(error);
    const advice =
      refusal === undefined
        ? 'Start Redis or restore the connection; mails wait in the outbox until then.'
        : 'See the runbook: Redis refuses commands. Mails wait in the outbox until then.';
    return [{ check, ok: false, found: refusal ?? messageOf(error), advice }];
  }
  const memory = `${mib(facts.usedBytes)} MiB of ${facts.maxBytes === 0 ? 'no limit' : `${mib(facts.maxBytes)} MiB`}`;
  const found = `version ${facts.version}, ${facts.policy}, ${facts.isPersistent ? 'persistent' : 'not persistent'}, ${memory}`;
  const problems = [
    // Only production needs what is not serious.
    ...problemsOfRedis(facts)
      .filter(({ isSerious }) => isSerious || isProduction)
      .map(({ problem }) => problem),
    ...checkRoom(facts, queues),
  ];
  if (problems.length === 0) return [{ check, ok: true, found }];
  return problems.map((advice) => ({ check, ok: false, found, advice }));
}

async function askRedis(url: string, queues: readonly QueueName[]): Promise<RedisFacts> {
  const redis = await connectRedis(url);
  try {
    await tryWrites(redis, queues);
    return await readRedisFacts(redis);
  } finally {
    redis.disconnect();
  }
}

/** One problem if producers may add no more jobs to any of the queues. */
function checkRoom({ usedBytes, limitBytes }: RedisFacts, queues: readonly QueueName[]): string[] {
  const usedShare = usedBytes / limitBytes;
  const stopped = queues.filter((queue) => usedShare >= queueRegistry[queue].bounds.memoryShare);
  if (stopped.length === 0) return [];
  const percent = Math.round(usedShare * 100);
  return [
    `${percent} % of its memory is used, and no jobs are added to ${stopped.join(' and ')}: see the runbook: Redis is full`,
  ];
}

/** Share of the size limit of a process's spool folder above which lines may soon be dropped. */
const SPOOL_NEARLY_FULL = 0.75;

async function examineSpool({ dir, maxBytes }: NonNullable<Config['spool']>): Promise<Finding> {
  const check = 'log spool';
  try {
    const bytes = await fullestFolder(dir);
    const found = `${dir}: the fullest process's folder holds ${mib(bytes)} of ${mib(maxBytes)} MiB`;
    if (bytes <= SPOOL_NEARLY_FULL * maxBytes) return { check, ok: true, found };
    const advice =
      'Beyond that the oldest lines are dropped. See the runbook: Logs do not reach Firehose.';
    return { check, ok: false, found, advice };
  } catch (error) {
    const advice = 'Let the process write there, or set SPOOL_DIR: log lines are spooled in it.';
    return { check, ok: false, found: messageOf(error), advice };
  }
}

/** Bytes in the fullest process's folder; 0 when there is none yet. @throws when the spool cannot be written to. */
async function fullestFolder(dir: string): Promise<number> {
  try {
    await access(dir, constants.W_OK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
  const bytes = new Map<string, number>();
  for (const name of await readdir(dir, { recursive: true })) {
    // A segment that was shipped meanwhile is gone.
    const file = await stat(join(dir, name)).catch(() => undefined);
    const [folder = ''] = name.split(sep);
    if (file?.isFile()) bytes.set(folder, (bytes.get(folder) ?? 0) + file.size);
  }
  return Math.max(0, ...bytes.values());
}

const mib = (bytes: number): number => Math.round(bytes / 1_048_576);

const messageOf = (error: unknown): string =>
  (error instanceof Error && error.message) || 'it cannot be reached';
