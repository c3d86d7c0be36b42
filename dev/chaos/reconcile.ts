import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { query, STREAM, type ChaosEnvironment } from './environment.js';

/** Log lines that the API wrote, compared with the records at Firehose. */
export interface LogLinesOutcome {
  readonly lines: number;
  readonly lostLines: readonly string[];
  /** Copies of a line beyond the first. */
  readonly doubledLines: number;
  /** From the end of the faults until every line had arrived. */
  readonly linesDrainedMs: number;
}

/** Promised mails and log lines, compared with what arrived. */
export interface Outcome extends LogLinesOutcome {
  /** Mails that a committed transaction or an acknowledged registration promised and the mail server never got. */
  readonly lostMails: readonly string[];
  /** Copies of a mail beyond the first. */
  readonly doubledMails: number;
  readonly promisedMails: number;
  readonly mailsDrainedMs: number;
}

const DRAIN_WITHIN_MS = 300_000;
const POLL_MS = 500;

/**
 * Waits, at most five minutes and without faults, until every promised mail and log line has arrived; then compares what
 * was promised with what arrived.
 */
export async function reconcile(
  environment: ChaosEnvironment,
  acknowledged: ReadonlySet<string>,
): Promise<Outcome> {
  const drain = startDrain();
  while ((await countOpenMessages(environment)) > 0 && drain.hasTime()) await delay(POLL_MS);
  const mailsDrainedMs = drain.elapsedMs();
  const promised = await query<{ id: string }>(
    environment,
    `select id from outbox where outcome is distinct from 'obsolete'`,
  );
  const { mail } = environment;
  return {
    lostMails: [
      ...promised.map(({ id }) => id).filter((id) => !mail.received.has(id)),
      ...[...acknowledged].filter((address) => !mail.recipients.has(address)),
    ],
    doubledMails: countDuplicates(mail.received),
    promisedMails: promised.length,
    mailsDrainedMs,
    ...(await reconcileLogLines(environment)),
  };
}

/** Stops the API, waits at most five minutes until every line that it wrote is at Firehose, and compares. */
export async function reconcileLogLines(environment: ChaosEnvironment): Promise<LogLinesOutcome> {
  const drain = startDrain();
  await environment.processes.api.stop();
  const written = await readWrittenLines(environment);
  let records = await countRecords(environment);
  while (missingFrom(records, written).length > 0 && drain.hasTime()) {
    await delay(POLL_MS * 4);
    records = await countRecords(environment);
  }
  return {
    lines: written.size,
    lostLines: missingFrom(records, written),
    doubledLines: countDuplicates(new Map([...records].filter(([id]) => written.has(id)))),
    linesDrainedMs: drain.elapsedMs(),
  };
}

/** The ids of the log lines that the API has written so far, over all its restarts. */
export async function readWrittenLines({ processes }: ChaosEnvironment): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const file of processes.api.logFiles) {
    // The last line of a killed process may be torn: it was never complete.
    const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
    for (const line of lines) ids.add(idOf(JSON.parse(line) as Record<string, unknown>));
  }
  return ids;
}

function startDrain() {
  const startedAt = performance.now();
  const elapsedMs = (): number => performance.now() - startedAt;
  return { elapsedMs, hasTime: () => elapsedMs() < DRAIN_WITHIN_MS };
}

async function countOpenMessages(environment: ChaosEnvironment): Promise<number> {
  const [row] = await query<{ n: number }>(
    environment,
    `select count(*)::int as n from outbox where state in ('pending', 'enqueued')`,
  );
  return row?.n ?? 0;
}

/** How often each record arrived, by its id. */
async function countRecords({ firehose }: ChaosEnvironment): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { document = {} } of await firehose.records(STREAM)) {
    const id = idOf(document);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

const idOf = (document: Readonly<Record<string, unknown>>): string => String(document['event.id']);

const missingFrom = (
  arrived: ReadonlyMap<string, number>,
  expected: ReadonlySet<string>,
): string[] => [...expected].filter((id) => !arrived.has(id));

const countDuplicates = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count - 1, 0);
