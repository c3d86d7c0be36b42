import * as z from 'zod';

/** Lines that will never be shipped: how many, and the time range by their own timestamps. */
export interface Gap {
  readonly lines: number;
  readonly from: string;
  readonly to: string;
}

/** Counts dropped lines, and which of them no record reports yet. Only this module changes it. */
export interface DroppedLines {
  /** Lines of this process's spool that were dropped since its start. */
  total: number;
  unreported: number;
  /** The time range of the unreported lines. */
  from: string | undefined;
  to: string | undefined;
}

const GAP_ACTION = 'gap';
const GAP_MARK = `"event.action":"${GAP_ACTION}"`;

export const createDroppedLines = (): DroppedLines => ({
  total: 0,
  unreported: 0,
  from: undefined,
  to: undefined,
});

/**
 * Adds lines, each with its newline, in the order in which they were written. A dropped record of a gap does not count
 * itself; the lines that it reports become unreported again.
 */
export function addDropped(dropped: DroppedLines, text: string): void {
  const gaps: Gap[] = [];
  const ordinary = text.split('\n').filter((line) => {
    const gap = line.includes(GAP_MARK) ? readGap(line) : undefined;
    if (gap) gaps.push(gap);
    return line !== '' && !gap;
  });
  dropped.total += ordinary.length;
  dropped.unreported += ordinary.length;
  extendRange(dropped, timeOf(ordinary[0]));
  extendRange(dropped, timeOf(ordinary.at(-1)));
  for (const gap of gaps) {
    dropped.unreported += gap.lines;
    extendRange(dropped, gap.from);
    extendRange(dropped, gap.to);
  }
}

/** Adds lines that can no longer be read. */
export function addUnreadable(dropped: DroppedLines, lines: number): void {
  dropped.total += lines;
  dropped.unreported += lines;
  if (lines > 0) extendRange(dropped, new Date().toISOString());
}

/** What was added since the last call, which the caller must report; undefined if nothing was. */
export function takeUnreported(dropped: DroppedLines): Gap | undefined {
  if (dropped.unreported === 0) return undefined;
  const now = new Date().toISOString();
  const gap: Gap = {
    lines: dropped.unreported,
    from: dropped.from ?? now,
    to: dropped.to ?? now,
  };
  dropped.unreported = 0;
  dropped.from = undefined;
  dropped.to = undefined;
  return gap;
}

/** A gap as the fields of its log record. */
export const gapFields = ({ lines, from, to }: Gap) => ({
  'event.action': GAP_ACTION,
  'event.start': from,
  'event.end': to,
  'labels.dropped_lines': lines,
});

function extendRange(dropped: DroppedLines, time: string | undefined): void {
  if (time === undefined) return;
  if (dropped.from === undefined || time < dropped.from) dropped.from = time;
  if (dropped.to === undefined || time > dropped.to) dropped.to = time;
}

const GapRecord = z
  .object({
    'labels.dropped_lines': z.int().min(0),
    'event.start': z.string(),
    'event.end': z.string(),
  })
  .transform((record): Gap => ({
    lines: record['labels.dropped_lines'],
    from: record['event.start'],
    to: record['event.end'],
  }));

function readGap(line: string): Gap | undefined {
  try {
    return GapRecord.safeParse(JSON.parse(line)).data;
  } catch {
    // Not a record of a gap: a line like any other.
    return undefined;
  }
}

const timeOf = (line = ''): string | undefined => /"@timestamp":"([^"]{1,40})"/.exec(line)?.[1];
