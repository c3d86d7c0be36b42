import { QueryTypes } from 'sequelize';
import { readOutboxState } from '../../api/ops/mail/outbox-state.service.js';
import { readClock, type ClockReading } from '../../shared/clocks.js';
import type { loadQueueToolConfig } from '../../shared/config/config.js';
import { openDatabase, type Database } from '../../shared/database/connect.js';
import { refusalOfDatabase, type DatabaseRefusal } from '../../shared/database/failures.js';
import { LOCALE_ADVICE, LOCALE_PROBLEM, LOWERS_ASCII } from '../../shared/database/locale.js';
import { isSchemaCurrent } from '../../shared/database/schema-version.js';
import { tryWrite } from '../../shared/database/write-probe.js';
import { messageOf } from '../../shared/errors/message-of.js';
import { findDeliveryFailure } from '../../shared/health/delivery-failure.js';
import { checkOutbox } from '../../shared/health/outbox-check.js';
import type { DoctorFinding } from './checks.js';
import { findSkewedProcesses } from './examine-clocks.js';
import { examineIds } from './examine-ids.js';
import { examineProcesses } from './examine-processes.js';

type Config = ReturnType<typeof loadQueueToolConfig>;

/** What PostgreSQL and its content tell, and its clock if it answers. */
export interface DatabaseFindings {
  readonly findings: readonly DoctorFinding[];
  readonly clock: ClockReading | undefined;
  readonly skewedProcesses: readonly string[];
}

export async function examineDatabase({
  database: address,
  spool,
}: Config): Promise<DatabaseFindings> {
  const database = openDatabase(address, 'rollcall-cli');
  try {
    const session = await describeSession(database);
    const found = `version ${session.version}`;
    const postgres: DoctorFinding = session.lowersAscii
      ? { check: 'postgres', ok: true, found }
      : { check: 'postgres', ok: false, found: `it ${LOCALE_PROBLEM}`, advice: LOCALE_ADVICE };
    if (!(await isSchemaCurrent(database))) {
      const advice = 'Run `node dist/migrations/run.js`.';
      const pending: DoctorFinding = {
        check: 'migrations',
        ok: false,
        found: 'migrations are pending',
        advice,
      };
      return { findings: [postgres, pending], clock: undefined, skewedProcesses: [] };
    }
    await tryWrite(database);
    const findings: DoctorFinding[] = [
      postgres,
      ...checkTimeouts(session, address),
      { check: 'migrations', ok: true, found: 'none is pending' },
      ...(await examineIds(database)),
      ...(await examineOutbox(database)),
      ...(await examineProcesses(database, spool !== undefined)),
    ];
    return {
      findings,
      clock: await readClock('PostgreSQL', () => timeOf(database)),
      skewedProcesses: await findSkewedProcesses(database),
    };
  } catch (error) {
    const refusal = refusalOfDatabase(error);
    const found = refusal ? `${refusal.problem}: ${messageOf(error)}` : messageOf(error);
    return {
      findings: [{ check: 'postgres', ok: false, found, advice: adviceOn(refusal?.kind) }],
      clock: undefined,
      skewedProcesses: [],
    };
  } finally {
    await database.close();
  }
}

/** What to do about a refusal; undefined for a server that does not answer. */
function adviceOn(refusal: DatabaseRefusal['kind'] | undefined): string {
  if (refusal === 'refuses_writes')
    return 'See the runbook: PostgreSQL refuses writes. Until it is fixed, the API answers 503 to requests that write, and no mail is sent.';
  if (refusal === 'refuses_connections')
    return 'PostgreSQL is running. Correct the user and password in DATABASE_URL, or free connections or allow more; until then the API answers 503. See the runbook: PostgreSQL refuses us.';
  if (refusal !== undefined)
    return 'PostgreSQL is running. If the statement took too long, end what holds the lock (pg_locks, pg_stat_activity); until then the API answers 503. See the runbook: PostgreSQL refuses us.';
  return 'Start PostgreSQL or restore the connection; until then the API answers 503 and no mail is sent.';
}

interface Session {
  readonly version: string;
  /** 0: statements have no time limit. */
  readonly statementTimeoutMs: number;
  readonly lowersAscii: boolean;
}

async function describeSession(database: Database): Promise<Session> {
  const [row] = await database.query<Session>(
    `select current_setting('server_version') as version,
            (select setting::int from pg_settings where name = 'statement_timeout') as "statementTimeoutMs",
            ${LOWERS_ASCII} as "lowersAscii"`,
    { type: QueryTypes.SELECT },
  );
  return row ?? { version: 'unknown', statementTimeoutMs: 0, lowersAscii: false };
}

/** Each session sets its time-out when it connects, unless a pooler drops the option. */
function checkTimeouts(
  { statementTimeoutMs }: Session,
  { user, name, timeoutMs }: Config['database'],
): DoctorFinding[] {
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

async function examineOutbox(database: Database): Promise<DoctorFinding[]> {
  const { ok, problem } = await checkOutbox(database);
  const { pending, enqueued, dead, uncertain } = await readOutboxState({ database });
  const open = `${pending.count} pending, ${enqueued.count} enqueued`;
  const failure = await findDeliveryFailure(database);
  const mail: DoctorFinding[] =
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
          found: `${problem ?? 'messages are stuck'} (${open})`,
          advice:
            'Is a worker with the roles `mail` and `relay` running? See the runbook: The outbox grows old.',
        },
    dead.count + uncertain.count === 0
      ? { check: 'dead letters', ok: true, found: 'none' }
      : {
          check: 'dead letters',
          ok: false,
          found: `${dead.count} given up, ${uncertain.count} perhaps sent`,
          advice: 'List them with `mail dead`, then `mail redrive` or `mail discard` each of them.',
        },
  ];
}

async function timeOf(database: Database): Promise<number> {
  const [row] = await database.query<{ ms: number }>(
    'select extract(epoch from clock_timestamp())::float8 * 1000 as ms',
    { type: QueryTypes.SELECT },
  );
  return row?.ms ?? NaN;
}
