import type { Moment, Run } from './simulate.js';

const WIDTH = 1_010;
const LEFT = 78;
const RIGHT = 24;
const TOP = 58;
const PANEL = 118;
const GAP = 44;
const BOTTOM = 34;
const HOUR = 3_600;
/** A run that goes so much higher than all others is cut off, so that these can be told apart. */
const FAR_ABOVE = 3;
const TICKS = 4;

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .faint { fill: #57606a; font-size: 12px; }
    .title { font-weight: 600; }
    .grid { stroke: #d0d7de; stroke-width: 1; }
    .marked { fill: #bf4b2c; fill-opacity: .1; }
    .run { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
    .run0 { stroke: #1a7f37; stroke-width: 2.6; }
    .run1 { stroke: #8250df; stroke-dasharray: 6 3; }
    .run2 { stroke: #bf4b2c; stroke-dasharray: 2 3; }
    .run3 { stroke: #57606a; stroke-dasharray: 10 3 2 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .faint { fill: #9da7b1; }
      .grid { stroke: #30363d; }
      .marked { fill: #f0883e; fill-opacity: .16; }
      .run0 { stroke: #3fb950; }
      .run1 { stroke: #bc8cff; }
      .run2 { stroke: #f0883e; }
      .run3 { stroke: #9da7b1; }
    }`;

interface Panel {
  readonly title: (run: Run) => string;
  readonly value: (moment: Moment) => number;
  readonly write: (value: number) => string;
  /** It changes at once, and not evenly from one moment to the next. */
  readonly isStepped?: boolean;
  readonly mayBeCut?: boolean;
}

const panels: readonly Panel[] = [
  {
    title: ({ scenario }) => `${scenario.subject === 'mails' ? 'Mails' : 'Log lines'} that wait`,
    value: ({ backlog }) => backlog,
    write: (value) => value.toLocaleString('en'),
    mayBeCut: true,
  },
  {
    title: () => 'Instances',
    value: ({ instances }) => instances,
    write: String,
    isStepped: true,
  },
  {
    title: () => 'How long the oldest of them has waited, in minutes',
    value: ({ oldestWait }) => oldestWait / 60,
    write: (value) => value.toLocaleString('en'),
    mayBeCut: true,
  },
  {
    title: () => 'Cost so far, in dollars',
    value: ({ cost }) => cost,
    write: (value) => value.toFixed(2),
  },
];

/** An SVG of the runs of one scenario: what waits, how many instances, how long, at what cost. */
export function renderRuns(runs: readonly Run[]): string {
  const [first] = runs;
  if (!first) return '';
  const height = TOP + panels.length * (PANEL + GAP) - GAP + BOTTOM;
  const title = escapeXml(first.scenario.title);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `  <title>${title}</title>`,
    `  <style>${STYLE}\n  </style>`,
    ...renderLegend(runs),
    ...panels.flatMap((panel, index) => renderPanel(panel, runs, index)),
    ...renderHours(first.scenario.seconds, height - BOTTOM + 20),
    '</svg>',
    '',
  ].join('\n');
}

function renderLegend(runs: readonly Run[]): string[] {
  let x = LEFT;
  return runs.flatMap(({ policy }, index) => {
    const at = x;
    x += 58 + policy.title.length * 6.8;
    return [
      `  <line x1="${round(at)}" y1="18" x2="${round(at + 26)}" y2="18" class="run run${index}"/>`,
      `  <text x="${round(at + 32)}" y="22">${escapeXml(policy.title)}</text>`,
    ];
  });
}

function renderPanel(panel: Panel, runs: readonly Run[], index: number): string[] {
  const [first] = runs;
  if (!first) return [];
  const top = TOP + index * (PANEL + GAP);
  const highest = runs.map(({ moments }) => Math.max(...moments.map(panel.value)));
  const { most, isCut } = scaleOf(highest, panel.mayBeCut === true);
  const step = niceStep(most / TICKS);
  const ticks = Array.from({ length: Math.floor(most / step) + 1 }, (_, i) => round(i * step));
  const y = (value: number): number => round(top + PANEL - (Math.min(value, most) / most) * PANEL);
  const cut = isCut ? `; cut off above ${panel.write(Math.round(most))}` : '';
  return [
    `  <text x="${LEFT}" y="${top - 10}" class="title">${escapeXml(panel.title(first) + cut)}</text>`,
    ...renderMark(first, top, index === 0),
    ...ticks.flatMap((tick) => [
      `  <line x1="${LEFT}" y1="${y(tick)}" x2="${WIDTH - RIGHT}" y2="${y(tick)}" class="grid"/>`,
      `  <text x="${LEFT - 8}" y="${y(tick) + 4}" text-anchor="end" class="faint">${panel.write(tick)}</text>`,
    ]),
    // The product's policy is drawn last, on top.
    ...runs.toReversed().map((run, i) => renderRun(panel, run, runs.length - 1 - i, y)),
  ];
}

function renderMark({ scenario }: Run, top: number, isNamed: boolean): string[] {
  const { marked, seconds } = scenario;
  if (!marked) return [];
  const [from, to] = [xOf(marked.from, seconds), xOf(marked.to, seconds)];
  return [
    `  <rect x="${from}" y="${top}" width="${round(to - from)}" height="${PANEL}" class="marked"/>`,
    isNamed
      ? `  <text x="${round(from + 6)}" y="${top + 26}" class="faint">${escapeXml(marked.what)}</text>`
      : '',
  ].filter((line) => line !== '');
}

function renderRun(panel: Panel, run: Run, index: number, y: (value: number) => number): string {
  let last = NaN;
  const parts: string[] = [];
  run.moments.forEach((moment, i) => {
    const x = xOf(moment.second, run.scenario.seconds);
    const at = y(panel.value(moment));
    const isLast = i === run.moments.length - 1;
    if (i === 0) parts.push(`M${x} ${at}`);
    else if (panel.isStepped === true) {
      if (at !== last || isLast) parts.push(`H${x}`);
      if (at !== last) parts.push(`V${at}`);
    } else parts.push(`L${x} ${at}`);
    last = at;
  });
  return `  <path class="run run${index}" d="${parts.join('')}"/>`;
}

function renderHours(seconds: number, y: number): string[] {
  const hours = seconds / HOUR;
  const step = [0.5, 1, 2, 3, 6].find((each) => hours / each <= 9) ?? 6;
  return Array.from({ length: Math.floor(hours / step) + 1 }, (_, i) => {
    const at = i * step;
    const label = `${Math.floor(at)}:${at % 1 === 0 ? '00' : '30'}`;
    return `  <text x="${xOf(at * HOUR, seconds)}" y="${y}" text-anchor="middle" class="faint">${label}</text>`;
  });
}

const xOf = (second: number, seconds: number): number =>
  round(LEFT + (second / seconds) * (WIDTH - LEFT - RIGHT));

/** The top of the axis: above all runs, unless one that may be cut off is far above all others. */
function scaleOf(
  highest: readonly number[],
  mayBeCut: boolean,
): { readonly most: number; readonly isCut: boolean } {
  const [most = 0, second = 0] = highest.toSorted((a, b) => b - a);
  const isCut = mayBeCut && second > 0 && most > FAR_ABOVE * second;
  return { most: (isCut ? second : Math.max(most, 0.001)) * 1.08, isCut };
}

/** 1, 2 or 5 times a power of ten, at least so much. */
function niceStep(atLeast: number): number {
  const power = 10 ** Math.floor(Math.log10(atLeast));
  return ([1, 2, 5, 10].find((factor) => factor * power >= atLeast) ?? 10) * power;
}

const round = (value: number): number => Math.round(value * 100) / 100;

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
