import type { Scope } from './context.js';
import { openTcpProxy, type SentBytes } from './tcp-proxy.js';

/** Notes the SQL that a process sends to PostgreSQL. */
export interface StatementRecorder {
  /** The database's URL through the recorder: give it to the process as `DATABASE_URL`. */
  readonly url: string;
  /**
   * The statements that were sent while `work` ran, in the order in which they were sent and without their values:
   * equal for two requests when PostgreSQL was asked the same for both. Statements that set a new connection up are
   * left out, as is the outbox's bookkeeping, which comes any time after the answer, and that of presence. Only one request may be under way.
   */
  during(work: () => Promise<unknown>): Promise<string[]>;
}

/** What Sequelize and the pools ask on a new connection. */
const CONNECTION_SET_UP =
  /^(?:set (?:standard_conforming_strings|client_min_messages)|show |with ranges as |select set_config\((?:'plan_cache_mode'|.+ where pg_backend_pid\(\) ))/i;
const OUTBOX_BOOKKEEPING = /^update outbox o set state = '/i;
/** What every process asks by itself from time to time: readiness, presence, alerts. */
const OWN_ROUTINE =
  /\b(?:processes|alerts|alert_notices|heartbeats|metric_minutes|bulk_actions|task_runs|schema_migrations|transaction_read_only)\b|^with (?:pending|failed) as|^select '[a-z]+' as state, count|as "(?:hasSent|lowersAscii)"/i;

/** Opens a recorder in front of the PostgreSQL that the URL names; it closes with the scope. */
export async function openStatementRecorder(
  scope: Scope,
  databaseUrl: string,
): Promise<StatementRecorder> {
  let noted: string[] | undefined;
  const note = (sql: string): void => {
    const text = sql.replaceAll(/\s+/g, ' ').trim();
    if ([CONNECTION_SET_UP, OUTBOX_BOOKKEEPING, OWN_ROUTINE].some((each) => each.test(text)))
      return;
    noted?.push(withoutValues(text));
  };
  const proxy = await openTcpProxy(scope, databaseUrl, () => readStatements(note));
  return {
    url: proxy.urlFor(databaseUrl),
    async during(work) {
      if (noted) throw new Error('statements are being recorded already');
      const statements: string[] = [];
      noted = statements;
      try {
        await work();
      } finally {
        noted = undefined;
      }
      return statements;
    },
  };
}

/** A statement with `?` for each literal in it; parameters (`$1`) have no value here anyway. */
export function withoutValues(sql: string): string {
  return sql.replaceAll(/'(?:[^']|'')*'|(?<![\w$."])\d+(?:\.\d+)?(?![\w"])/g, '?');
}

const LENGTH_BYTES = 4;
/** Of an untyped message: a request for TLS or for GSSAPI encryption, which the start-up message follows. */
const ENCRYPTION_REQUESTS = [80_877_103, 80_877_104];

/**
 * Reads the client's side of PostgreSQL's protocol (version 3, "Message Formats") and tells of every statement when it
 * is to be run: the text of a simple query, and that of a prepared statement each time that it is bound.
 */
function readStatements(onStatement: (sql: string) => void): SentBytes {
  const prepared = new Map<string, string>();
  let rest = Buffer.alloc(0);
  let hasStarted = false;

  const onMessage = (type: string, body: Buffer): void => {
    const [first = '', second = ''] = body.toString('utf8').split('\0', 2);
    if (type === 'Q') onStatement(first);
    else if (type === 'P') prepared.set(first, second);
    // A bind names the portal, then the statement.
    else if (type === 'B') onStatement(prepared.get(second) ?? `unknown statement ${second}`);
  };

  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    for (;;) {
      const typeBytes = hasStarted ? 1 : 0;
      if (rest.length < typeBytes + LENGTH_BYTES) return;
      const end = typeBytes + rest.readUInt32BE(typeBytes);
      if (rest.length < end) return;
      const body = rest.subarray(typeBytes + LENGTH_BYTES, end);
      if (hasStarted) onMessage(rest.toString('latin1', 0, 1), body);
      else hasStarted = !ENCRYPTION_REQUESTS.includes(body.readUInt32BE());
      rest = rest.subarray(end);
    }
  };
}
