import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, STREAM, type Stage } from './environment.js';

/** What became of the lines that the API wrote. */
export interface LinesOutcome {
  readonly lines: number;
  readonly lostLines: readonly string[];
  /** Further copies of a line. */
  readonly doubledLines: number;
  /** From the end of the faults until everything had arrived. */
  readonly linesDrainedMs: number;
}

/** What became of what was promised. */
export interface Outcome extends LinesOutcome {
  /** Mails that a committed transaction or an answered registration promised and the mail server never got. */
  readonly lostMails: readonly string[];
  /** Mails that it got more often than once; each further copy counts. */
  readonly doubledMails: number;
  readonly promisedMails: number;
  readonly mailsDrainedMs: number;
}

const DRAIN_WITHIN_MS = 300_000;
const LOOK_EVERY_MS = 500;

/** Waits, in peace, until everything promised has arrived, or five minutes; then compares. */
export async function settleAccounts(
  stage: Stage,
  acknowledged: ReadonlySet<string>,
): Promise<Outcome> {
  const clock = startClock();
  while ((await openMessages(stage)) > 0 && clock.hasTime()) await delay(LOOK_EVERY_MS);
  const mailsDrainedMs = clock.elapsedMs();
  const promised = await ask<{ id: string }>(
    stage,
    `select id from outbox where outcome is distinct from 'obsolete'`,
  );
  return {
    lostMails: [
      ...promised.map(({ id }) => id).filter((id) => !stage.mail.taken.has(id)),
      ...[...acknowledged].filter((address) => !stage.mail.recipients.has(address)),
    ],
    doubledMails: extraOf(stage.mail.taken),
    promisedMails: promised.length,
    mailsDrainedMs,
    ...(await settleLines(stage)),
  };
}

/** Stops the API, and waits until every line that it has written has arrived, or five minutes. */
export async function settleLines(stage: Stage): Promise<LinesOutcome> {
  const clock = startClock();
  await stage.processes.api.stop();
  const written = await linesWritten(stage);
  let records = await recordsOf(stage);
  while (missingOf(written, records).length > 0 && clock.hasTime()) {
    await delay(LOOK_EVERY_MS * 4);
    records = await recordsOf(stage);
  }
  return {
    lines: written.size,
    lostLines: missingOf(written, records),
    doubledLines: extraOf(new Map([...records].filter(([id]) => written.has(id)))),
    linesDrainedMs: clock.elapsedMs(),
  };
}

/** The ids of the lines that all lives of the API have written so far. */
export const linesWritten = ({ processes }: Stage): Promise<Set<string>> =>
  linesOf(processes.api.logFiles);

function startClock() {
  const startedAt = performance.now();
  const elapsedMs = (): number => performance.now() - startedAt;
  return { elapsedMs, hasTime: () => elapsedMs() < DRAIN_WITHIN_MS };
}

async function openMessages(stage: Stage): Promise<number> {
  const [row] = await ask<{ n: number }>(
    stage,
    `select count(*)::int as n from outbox where state in ('pending', 'enqueued')`,
  );
  return row?.n ?? 0;
}

/** The ids of the lines in these files. What a kill cut off is no line yet. */
async function linesOf(files: readonly string[]): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const file of files) {
    const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1);
    for (const line of lines) ids.add(idOf(JSON.parse(line) as Record<string, unknown>));
  }
  return ids;
}

/** How often each record arrived. */
async function recordsOf({ firehose }: Stage): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const { document = {} } of await firehose.records(STREAM)) {
    const id = idOf(document);
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

const idOf = (document: Readonly<Record<string, unknown>>): string => String(document['event.id']);

const missingOf = (wanted: ReadonlySet<string>, there: ReadonlyMap<string, number>): string[] =>
  [...wanted].filter((id) => !there.has(id));

const extraOf = (counts: ReadonlyMap<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count - 1, 0);
