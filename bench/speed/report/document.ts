import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { projectRoot } from '../../../dev/paths.js';
import type { Plan } from '../measurement.js';
import type { Outcome } from '../paired-rounds.js';
import type { Machine } from './machine.js';
import { renderPlot } from './plot.js';
import { figuresOf, verdictHead, verdictOf, type Row } from './table.js';

const DOCUMENT = 'docs/performance.md';
const PLOT = 'docs/images/performance.svg';
const BEGIN = '<!-- measured: written by `npm run bench` -->';
const END = '<!-- end of what is measured -->';

/** Writes the plot, and the figures into docs/performance.md between its two markers; the prose around them stays. */
export async function writeDocument(
  outcomes: readonly Outcome[],
  machine: Machine,
  plan: Plan,
): Promise<void> {
  const document = join(projectRoot, DOCUMENT);
  const text = await readFile(document, 'utf8');
  await writeFile(document, replaceMeasured(text, renderSection(outcomes, machine, plan)));
  await mkdir(dirname(join(projectRoot, PLOT)), { recursive: true });
  await writeFile(join(projectRoot, PLOT), renderPlot(outcomes));
}

/** The text with everything between its markers replaced. @throws if it has no markers. */
export function replaceMeasured(text: string, section: string): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${DOCUMENT} has lost its markers`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${section}\n${text.slice(end)}`;
}

function renderSection(outcomes: readonly Outcome[], machine: Machine, plan: Plan): string {
  const verdicts = outcomes.flatMap((outcome) =>
    outcome.verdicts.map((verdict) =>
      [`[${outcome.name}](#${anchorOf(outcome)})`].concat(verdictOf(verdict)),
    ),
  );
  return [
    '## Goals',
    plan.isShort ? 'From a short run, whose figures are rougher than those of a full one.' : '',
    `![How near each figure is to its goal](${PLOT.replace('docs/', '')})`,
    markdownTable([['measurement', ...verdictHead], ...verdicts]),
    '## Figures',
    ...outcomes.map(renderOutcome),
    '## Machine and versions',
    markdownTable([['', ''], ...machine]),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}

function renderOutcome(outcome: Outcome): string {
  const { title, settings, rounds, repeated } = outcome;
  const disturbed = repeated === 0 ? '' : `; ${repeated} more were disturbed and repeated`;
  return [
    `### ${headingOf(outcome)}`,
    `${title}. Settings: ${settings}. Rounds: ${rounds}${disturbed}.`,
    markdownTable(figuresOf(outcome)),
  ].join('\n\n');
}

/** A heading of one word, so that its anchor is the word. */
const headingOf = ({ name }: Outcome): string => name;

const anchorOf = (outcome: Outcome): string => headingOf(outcome).toLowerCase();

function markdownTable([head = [], ...rows]: readonly Row[]): string {
  const line = (cells: Row): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}
