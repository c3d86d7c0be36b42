import type { Outcome, Verdict } from '../paired-rounds.js';
import { boundOf, comparisonOf, foundOf } from './table.js';

const WIDTH = 1_010;
const ROW = 26;
const TOP = 44;
const LABELS = 480;
const VALUES = 180;
/** Length of a bar that is exactly at its goal. */
const GOAL = 150;
/** Longer bars are cut off, and say so by their number. */
const MAX_SHARE = 2.2;

const STYLE = `
    text { font: 13px system-ui, sans-serif; fill: #24292f; }
    .faint { fill: #57606a; }
    .met { fill: #1a7f37; }
    .missed { fill: #bf4b2c; }
    .stretch { fill: #8c959f; }
    .goal { stroke: #57606a; stroke-width: 1.5; stroke-dasharray: 4 3; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .faint { fill: #9da7b1; }
      .met { fill: #3fb950; }
      .missed { fill: #f0883e; }
      .stretch { fill: #6e7681; }
      .goal { stroke: #9da7b1; }
    }`;

/** An SVG of one bar for each goal: how near to it the figure is, longer being better; the goals are one dashed line. */
export function renderPlot(outcomes: readonly Outcome[]): string {
  const rows = outcomes.flatMap(({ name, verdicts }) =>
    verdicts.map((verdict) => ({ name, verdict })),
  );
  const height = TOP + rows.length * ROW + 12;
  const goalAt = LABELS + GOAL;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    '  <title>How near each figure is to its goal</title>',
    `  <style>${STYLE}\n  </style>`,
    `  <text x="${goalAt}" y="18" text-anchor="middle" class="faint">goal</text>`,
    `  <line x1="${goalAt}" y1="26" x2="${goalAt}" y2="${height - 8}" class="goal"/>`,
    ...rows.map(({ name, verdict }, index) => renderRow(name, verdict, TOP + index * ROW)),
    '</svg>',
    '',
  ].join('\n');
}

function renderRow(name: string, verdict: Verdict, y: number): string {
  const { isMet, isStretch = false } = verdict;
  const length = Math.round(Math.min(shareOfGoal(verdict), MAX_SHARE) * GOAL);
  const colour = isMet ? 'met' : isStretch ? 'stretch' : 'missed';
  const label = escapeXml(`${name}: ${comparisonOf(verdict)}`);
  const value = escapeXml(`${foundOf(verdict)} (${boundOf(verdict)})`);
  return [
    `  <text x="${LABELS - 10}" y="${y + 13}" text-anchor="end">${label}</text>`,
    `  <rect x="${LABELS}" y="${y + 2}" width="${length}" height="15" rx="2" class="${colour}"/>`,
    `  <text x="${WIDTH - VALUES}" y="${y + 13}" class="faint">${value}</text>`,
  ].join('\n');
}

/** 1 at the goal, more beyond it: for an upper bound the inverse. */
export function shareOfGoal({ median, atLeast, atMost }: Verdict): number {
  const share = atLeast === undefined ? (atMost ?? 0) / median : median / atLeast;
  return Number.isFinite(share) ? share : 0;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
