import { QueryTypes } from 'sequelize';
import type { Database } from '../database/connect.js';

/** What a chart shows: the last hour or day. */
export type MinuteWindow = 'hour' | 'day';

/** The length of a window and the time between its points. */
const WINDOWS: Readonly<Record<MinuteWindow, { readonly seconds: number; readonly step: number }>> =
  {
    hour: { seconds: 3_600, step: 60 },
    day: { seconds: 86_400, step: 900 },
  };

/** Series of the per-minute metrics over a window; the last point is of the minute before the one that is not over yet. */
export interface MinuteHistory {
  readonly stepSeconds: number;
  /** The beginning of each point's time, ascending. */
  readonly times: readonly Date[];
  /** What was counted at each point; 0 where nothing was. */
  counts(name: string): readonly number[];
  /** The greatest value at each point; `undefined` where no process wrote one. */
  maxima(name: string): readonly (number | undefined)[];
  /** What was counted in the whole window. */
  sum(name: string): number;
  /** The last value that was written within the window. */
  latest(name: string): number | undefined;
}

interface Row {
  readonly point: number;
  readonly name: string | null;
  readonly sum: number | null;
  readonly max: number | null;
}

/**
 * Reads series of the per-minute metrics, all in one statement by the primary key.
 * @param names as `keptName` of minutes.ts makes them.
 */
export async function readMinutes(
  database: Database,
  window: MinuteWindow,
  names: readonly string[],
): Promise<MinuteHistory> {
  const { seconds, step } = WINDOWS[window];
  // The minute that is not over is left out, and the one before it as long as the processes are still writing it.
  const rows = await database.query<Row>(
    `with bounds as (
       select date_bin($step * interval '1 second', now() - interval '75 seconds', 'epoch'::timestamptz) as last
     ), points as (
       select last, floor(extract(epoch from last) / $step)::float8 as point from bounds
     )
     select point, null as name, null as sum, null as max from points
     union all
     select floor(extract(epoch from m.minute) / $step)::float8, m.name, sum(m.value), max(m.value)
       from points, unnest($names::text[]) as wanted (name)
       join metric_minutes m on m.name = wanted.name
      where m.minute >= points.last - ($seconds - $step) * interval '1 second'
        and m.minute < points.last + $step * interval '1 second'
      group by 1, 2`,
    { type: QueryTypes.SELECT, bind: { seconds, step, names: [...names] } },
  );
  const last = rows.find(({ name }) => name === null)?.point ?? 0;
  const first = last - seconds / step + 1;
  return createHistory(rows, { first, length: seconds / step, step });
}

function createHistory(
  rows: readonly Row[],
  {
    first,
    length,
    step,
  }: { readonly first: number; readonly length: number; readonly step: number },
): MinuteHistory {
  const byName = new Map<string, Map<number, Row>>();
  for (const row of rows) {
    if (row.name === null) continue;
    const points = byName.get(row.name) ?? new Map<number, Row>();
    byName.set(row.name, points.set(row.point - first, row));
  }
  const points = Array.from({ length }, (_, i) => i);
  const at = (name: string, point: number): Row | undefined => byName.get(name)?.get(point);
  const counts = (name: string): number[] => points.map((point) => at(name, point)?.sum ?? 0);
  const maxima = (name: string): (number | undefined)[] =>
    points.map((point) => at(name, point)?.max ?? undefined);
  const sum = (name: string): number => counts(name).reduce((all, each) => all + each, 0);
  return {
    stepSeconds: step,
    times: points.map((point) => new Date((first + point) * step * 1_000)),
    counts,
    maxima,
    sum,
    latest: (name) => maxima(name).findLast((value) => value !== undefined),
  };
}
