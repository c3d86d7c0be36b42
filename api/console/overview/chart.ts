import { area, curveMonotoneX, line } from 'd3-shape';
import type { MinuteHistory } from '../../../shared/metrics/read-minutes.js';
import type { DeployMark } from '../../../shared/presence/read-processes.js';
import { markup, Html } from '../../http/page.js';
import { clip } from '../layout/format.js';

/** One curve of a chart; the first is drawn as an area, the others as dashed lines. */
export interface Curve {
  readonly label: string;
  /** One value for each time of the history; `undefined` where nothing is known. */
  readonly values: readonly (number | undefined)[];
}

export interface Chart {
  readonly title: string;
  readonly history: MinuteHistory;
  readonly curves: readonly [Curve, ...Curve[]];
  readonly marks: readonly DeployMark[];
  /** A value as it is written. */
  readonly format: (value: number) => string;
  /** What the curves come to, in a few words. */
  readonly summary: string;
}

const WIDTH = 600;
const HEIGHT = 120;
/** Most charts have a few deployments; a crash loop may have many versions. */
const MAX_MARKS = 6;

/** A chart as SVG, with its scale and legend as text beside it, so that both can be read at every width. */
export function renderChart({ title, history, curves, marks, format, summary }: Chart): Html {
  const greatest = Math.max(
    0,
    ...curves.flatMap(({ values }) => values.map((value) => value ?? 0)),
  );
  const top = ceiling(greatest);
  const shapes = curves.map(({ values }, i) =>
    i === 0 || values.some(Boolean) ? shapeOf(values, top, i + 1) : new Html(''),
  );
  const shown = marks.flatMap((mark) => placed(mark, history)).slice(-MAX_MARKS);
  const lines = shown.map(
    ({ x }) => markup`<line class="mark" x1="${x}" x2="${x}" y1="0" y2="${HEIGHT}"/>`,
  );
  return markup`<figure class="chart">
<figcaption><b>${title}</b><span class="soft">${summary}</span></figcaption>
<div class="plot"><span class="top" aria-hidden="true">${format(top)}</span>
<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${title}: ${summary}">${shapes}${lines}</svg></div>
${axisOf(history)}
${curves.length > 1 && legend(curves)}
</figure>`;
}

/** The end of the scale: 1, 2 or 5 times a power of ten. */
function ceiling(greatest: number): number {
  if (greatest <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(greatest));
  return ([1, 2, 5].find((step) => step * power >= greatest) ?? 10) * power;
}

function shapeOf(values: readonly (number | undefined)[], top: number, place: number): Html {
  const step = WIDTH / Math.max(1, values.length - 1);
  const x = (_value: number | undefined, i: number): number => round(i * step);
  const y = (value: number | undefined): number => round(HEIGHT * (1 - (value ?? 0) / top));
  const isKnown = (value: number | undefined): boolean => value !== undefined;
  const curve = line<number | undefined>().x(x).y(y).defined(isKnown).curve(curveMonotoneX);
  const below = area<number | undefined>()
    .x(x)
    .y0(HEIGHT)
    .y1(y)
    .defined(isKnown)
    .curve(curveMonotoneX);
  const path = markup`<path class="line-${place}" d="${curve([...values]) ?? ''}"/>`;
  return place === 1 ? markup`<path class="area-1" d="${below([...values]) ?? ''}"/>${path}` : path;
}

const round = (value: number): number => Math.round(value * 10) / 10;

interface PlacedMark extends DeployMark {
  readonly x: number;
}

function placed(mark: DeployMark, { times, stepSeconds }: MinuteHistory): PlacedMark[] {
  const [first] = times;
  if (!first) return [];
  const place = (mark.startedAt.getTime() - first.getTime()) / 1_000 / stepSeconds;
  const x = round((place * WIDTH) / Math.max(1, times.length - 1));
  return x < 0 || x > WIDTH ? [] : [{ ...mark, x }];
}

/** A time of day in UTC: 12:38. */
export const clock = (at: Date | undefined): string => at?.toISOString().slice(11, 16) ?? '';

function axisOf({ times }: MinuteHistory): Html {
  const middle = times[Math.floor(times.length / 2)];
  return markup`<div class="axis" aria-hidden="true"><span>${clock(times[0])}</span><span>${clock(middle)}</span><span>${clock(times.at(-1))}</span></div>`;
}

const swatch = (shape: string): Html =>
  markup`<svg viewBox="0 0 22 8" aria-hidden="true"><line class="${shape}" x1="0" x2="22" y1="4" y2="4"/></svg>`;

const legend = (curves: readonly Curve[]): Html =>
  markup`<ul class="key">${curves.map(
    ({ label }, i) => markup`<li>${swatch(`line-${i + 1}`)}${label}</li>`,
  )}</ul>`;

/** What the marks in the charts of one window mean. */
export function renderMarks(marks: readonly DeployMark[], history: MinuteHistory): Html {
  const shown = marks.flatMap((mark) => placed(mark, history)).slice(-MAX_MARKS);
  const entries = shown.map(
    ({ service, version, startedAt }) =>
      markup`<li>${swatch('mark')}${serviceName(service)} ${clip(version, 40)} deployed ${clock(startedAt)}</li>`,
  );
  return entries.length === 0 ? new Html('') : markup`<ul class="key marks">${entries}</ul>`;
}

/** `rollcall-api` without the name of the product. */
export const serviceName = (service: string): string =>
  service === 'rollcall-api' ? 'API' : clip(service.replace(/^rollcall-/, ''), 40);
