import * as z from 'zod';

/** Lines that will never be shipped: how many, and from when to when. Times are as the lines have them. */
export interface Gap {
  readonly lines: number;
  readonly from: string;
  readonly to: string;
}

/** Counts lines that are lost, and says which of them nobody has been told of. */
export interface DroppedLines {
  /** Lines of this process's spool that were dropped since its start. */
  readonly total: number;
  /** Adds lines, each with its newline, in the order in which they were written. */
  add(text: string): void;
  /** Adds lines that cannot be read any more. */
  addUnread(lines: number): void;
  hasUntold(): boolean;
  /** What was added since the last time; whoever takes it must tell. */
  takeUntold(): Gap | undefined;
}

const GAP_ACTION = 'gap';
const GAP_MARK = `"event.action":"${GAP_ACTION}"`;

/** None yet. A dropped record of a gap does not count itself; what it told is told again. */
export function createDroppedLines(): DroppedLines {
  let total = 0;
  let untold = 0;
  let from: string | undefined;
  let to: string | undefined;

  const stretch = (time: string | undefined): void => {
    if (time === undefined) return;
    if (from === undefined || time < from) from = time;
    if (to === undefined || time > to) to = time;
  };
  const addUnread = (lines: number): void => {
    total += lines;
    untold += lines;
    if (lines > 0) stretch(new Date().toISOString());
  };

  return {
    get total() {
      return total;
    },
    add(text) {
      const gaps: Gap[] = [];
      const ordinary = text.split('\n').filter((line) => {
        const gap = line.includes(GAP_MARK) ? readGap(line) : undefined;
        if (gap) gaps.push(gap);
        return line !== '' && !gap;
      });
      total += ordinary.length;
      untold += ordinary.length;
      stretch(timeOf(ordinary[0]));
      stretch(timeOf(ordinary.at(-1)));
      for (const gap of gaps) {
        untold += gap.lines;
        stretch(gap.from);
        stretch(gap.to);
      }
    },
    addUnread,
    hasUntold: () => untold > 0,
    takeUntold() {
      if (untold === 0) return undefined;
      const now = new Date().toISOString();
      const gap: Gap = { lines: untold, from: from ?? now, to: to ?? now };
      untold = 0;
      from = undefined;
      to = undefined;
      return gap;
    },
  };
}

/** A gap as the fields of its log record. */
export const gapFields = ({ lines, from, to }: Gap) => ({
  'event.action': GAP_ACTION,
  'event.start': from,
  'event.end': to,
  'labels.dropped_lines': lines,
});

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
    // Nobody's record of a gap: a line like any other.
    return undefined;
  }
}

const timeOf = (line = ''): string | undefined => /"@timestamp":"([^"]{1,40})"/.exec(line)?.[1];
