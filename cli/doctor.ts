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
import { checkOutbox, findHeldUp } from '../shared/health/outbox-check.js';
import type { QueueName } from '../shared/jobs/define-job.js';
import { queueBounds } from '../shared/queues/queue-room.js';
import { connectRedis } from '../shared/queues/redis-client.js';
import { problemsOfRedis, readRedisFacts, type RedisFacts } from '../shared/queues/redis-facts.js';
import { tryWrites } from '../shared/queues/redis-probe.js';
import { refusalOfRedis } from '../shared/queues/redis-refusals.js';
import { refuseArguments, type CommandResult, type Arguments, type Command } from './command.js';

/** Checks everything that Rollcall depends on. */
export const doctorCommands: readonly Command[] = [
  {
    name: 'doctor',
    summary: 'checks configuration, PostgreSQL, Redis and spool, and says what to do',
    run: doctor,
  },
];

/** The result of one check. */
interface Finding {
  readonly check: string;
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
    ...redisesOf(config).map((redis) => examineRedis(redis, config.isProduction)),
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

/** A host may be the API's or the worker's: one of the two must be able to start with this environment. */
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
    const postgres = { check: 'postgres', ok: true, found: `version ${session.version}` };
    if (!(await isSchemaCurrent(database))) {
      const advice = 'Run `node dist/migrations/run.js`.';
      const found = 'migrations are pending';
      return [postgres, { check: 'migrations', ok: false, found, advice }];
    }
    await tryWrite(database);
    return [
      postgres,
      ...lackOfTimeouts(session, address),
      { check: 'migrations', ok: true, found: 'none is pending' },
      ...(await examineOutbox(database)),
    ];
  } catch (error) {
    const refusal = refusalOfDatabase(error);
    const found = refusal === undefined ? messageOf(error) : `${refusal}: ${messageOf(error)}`;
    const advice =
      refusal === 'refuses writes'
        ? 'See the runbook: PostgreSQL refuses writes. Until then the API answers 503 to what writes, and no mail is sent.'
        : 'Bring it back; until then the API answers 503 and no mail is sent.';
    return [{ check: 'postgres', ok: false, found, advice }];
  } finally {
    await database.close();
  }
}

interface Session {
  readonly version: string;
  /** 0 when the server bounds no statement. */
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

/** Each session has its time-out from the start, unless it comes from a pooler. */
function lackOfTimeouts(
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

const MAIL_ADVICE = 'They are tried again until it works. See the runbook: mail does not arrive.';

async function examineOutbox(database: Database): Promise<Finding[]> {
  const { ok, problem } = await checkOutbox(database);
  const { pending, enqueued, dead, uncertain } = await readOutboxState({ database });
  const open = `${pending.count} pending, ${enqueued.count} enqueued`;
  const heldUp = await findHeldUp(database);
  return [
    ...(heldUp === undefined
      ? []
      : [{ check: 'mail', ok: false, found: heldUp, advice: MAIL_ADVICE }]),
    ok
      ? { check: 'outbox', ok, found: open }
      : {
          check: 'outbox',
          ok,
          found: `${problem ?? 'it does not move'} (${open})`,
          advice:
            'Is a worker with the roles `mail` and `relay` running? See the runbook: the outbox grows old.',
        },
    dead.count + uncertain.count === 0
      ? { check: 'dead letters', ok: true, found: 'none' }
      : {
          check: 'dead letters',
          ok: false,
          found: `${dead.count} given up, ${uncertain.count} perhaps sent`,
          advice: 'Look with `mail dead`, then `mail redrive` or `mail discard`.',
        },
  ];
}

/** A Redis, and the queues that it holds. */
interface QueueRedis {
  readonly check: string;
  readonly url: string;
  readonly queues: readonly QueueName[];
}

function redisesOf({ redis: { url, logsUrl } }: Config): QueueRedis[] {
  if (logsUrl === url) return [{ check: 'redis', url, queues: ['mail', 'logs'] }];
  return [
    { check: 'redis', url, queues: ['mail'] },
    { check: 'redis (logs)', url: logsUrl, queues: ['logs'] },
  ];
}

async function examineRedis(
  { check, url, queues }: QueueRedis,
  isProduction: boolean,
): Promise<Finding[]> {
  let facts: RedisFacts;
  try {
    facts = await askRedis(url, queues);
  } catch (error) {
    const refusal = refusalOfRedis(error);
    const advice =
      refusal === undefined
        ? 'Bring it back; mails wait in the outbox until then.'
        : 'See the runbook: Redis refuses commands. Mails wait in the outbox until then.';
    return [{ check, ok: false, found: refusal ?? messageOf(error), advice }];
  }
  const memory = `${mib(facts.usedBytes)} MiB of ${facts.maxBytes === 0 ? 'no limit' : `${mib(facts.maxBytes)} MiB`}`;
  const found = `version ${facts.version}, ${facts.policy}, ${facts.isPersistent ? 'persistent' : 'not persistent'}, ${memory}`;
  const complaints = [
    // A laptop may do without what is not serious.
    ...problemsOfRedis(facts)
      .filter(({ isSerious }) => isSerious || isProduction)
      .map(({ problem }) => problem),
    ...lackOfRoom(facts, queues),
  ];
  if (complaints.length === 0) return [{ check, ok: true, found }];
  return complaints.map((advice) => ({ check, ok: false, found, advice }));
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

/** One complaint if any of the queues is given no more jobs. */
function lackOfRoom({ usedBytes, limitBytes }: RedisFacts, queues: readonly QueueName[]): string[] {
  const usedShare = usedBytes / limitBytes;
  const stopped = queues.filter((queue) => usedShare >= queueBounds[queue].memoryShare);
  if (stopped.length === 0) return [];
  const percent = Math.round(usedShare * 100);
  return [
    `${percent} % of its memory is used, and nothing more is put on ${stopped.join(' and ')}: see the runbook, Redis is full`,
  ];
}

/** Of a process's part of the spool: soon lines will be dropped. */
const SPOOL_NEARLY_FULL = 0.75;

async function examineSpool({ dir, maxBytes }: NonNullable<Config['spool']>): Promise<Finding> {
  const check = 'log spool';
  try {
    const bytes = await fullestFolder(dir);
    const found = `${dir}: at most ${mib(bytes)} of ${mib(maxBytes)} MiB wait in a process's folder`;
    if (bytes <= SPOOL_NEARLY_FULL * maxBytes) return { check, ok: true, found };
    const advice =
      'Past that the oldest lines are dropped. See the runbook: logs do not reach Firehose.';
    return { check, ok: false, found, advice };
  } catch (error) {
    const advice = 'Let the process write there, or set SPOOL_DIR: log lines wait in it.';
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
    // What is shipped meanwhile is gone.
    const file = await stat(join(dir, name)).catch(() => undefined);
    const [folder = ''] = name.split(sep);
    if (file?.isFile()) bytes.set(folder, (bytes.get(folder) ?? 0) + file.size);
  }
  return Math.max(0, ...bytes.values());
}

const mib = (bytes: number): number => Math.round(bytes / 1_048_576);

const messageOf = (error: unknown): string =>
  (error instanceof Error && error.message) || 'it cannot be reached';
