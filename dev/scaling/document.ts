import { assumed, assumptions } from './assumptions.js';
import { hashesAtOnce, limits, needs, threadsFor } from './capacity.js';
import { byWork, policies } from './policies.js';
import { renderRuns } from './plot.js';
import { scenarioNamed, scenarios } from './scenarios.js';
import { simulate, type Run } from './simulate.js';

/** A file that the simulation writes. */
export interface WrittenFile {
  /** Relative to the project's root. */
  readonly path: string;
  readonly content: string;
}

type Row = readonly string[];

const DOCUMENT = 'docs/scaling.md';
const BEGIN = '<!-- simulated: written by `npm run simulate:scaling` -->';
const END = '<!-- end of what is simulated -->';
const UTILISATIONS = [0.5, 0.6, 0.7, 0.8, 0.9];
const CATCH_UPS = [10, 30, 120];
const START_SECONDS = [120, 240, 420, 600];

/** The runs of every policy in every scenario. */
export const simulateAll = (): readonly (readonly Run[])[] =>
  scenarios.map((scenario) => policies.map((policy) => simulate(scenario, policy)));

/** The plots, and the document with its figures: the prose around its two markers stays. @throws if it has lost them. */
export function writtenFiles(
  text: string,
  all: readonly (readonly Run[])[],
): readonly WrittenFile[] {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${DOCUMENT} has lost its markers`);
  const content = `${text.slice(0, begin + BEGIN.length)}\n\n${renderSection(all)}\n\n${text.slice(end)}`;
  return [
    { path: DOCUMENT, content },
    ...all.map((runs) => ({ path: `docs/${plotOf(runs)}`, content: renderRuns(runs) })),
  ];
}

/** The figures of one scenario, a row for each policy, the head first. */
export const figuresOf = (runs: readonly Run[]): readonly Row[] => [
  ['followed', 'half waited', '95 %', '99 %', 'longest', 'within a minute'].concat([
    'most instances',
    'added, removed',
    'instance hours',
    'cost',
  ]),
  ...runs.map(({ policy, waits, peak, added, removed, instanceHours, cost }) => [
    policy.title,
    duration(waits.p50),
    duration(waits.p95),
    duration(waits.p99),
    duration(waits.longest),
    percent(waits.withinMinute),
    String(peak),
    `${added}, ${removed}`,
    instanceHours.toFixed(1),
    `$ ${cost.toFixed(2)}`,
  ]),
];

function renderSection(all: readonly (readonly Run[])[]): string {
  return [
    '## What was simulated',
    ...all.flatMap(renderScenario),
    '## Why 0.7, and 30 seconds',
    'The working day under other settings: how long 99 % waited at most, and the longest wait; instance hours, and how often instances were added or removed.',
    table(settingsRows()),
    'The same day with 0.7 and 30 seconds, by how long it takes from the launch of an instance until its worker works:',
    table(startRows()),
    '## What each part can do',
    'A registration here is one that is also confirmed: two passwords are hashed, one mail is sent, four lines are logged.',
    table([
      ['part', 'one unit', 'registrations a second', 'beyond'],
      ...limits.map(({ part, unit, perSecond, remedy }) => [
        part,
        unit,
        rounded(perSecond),
        remedy,
      ]),
    ]),
    '## On paper, up to 10,000 registrations a second',
    `Cores are fully used ones: twice as many are wise. ${hashingNote()} Workers are those of the policy, with \`MAIL_RATE\` as the load needs it.`,
    table(needRows()),
    '## What is assumed',
    table([
      ['', 'value', 'source'],
      ...Object.entries(assumptions).map(([name, { value, unit, source }]) => [
        name,
        `${written(value)} ${unit}`.trim(),
        source,
      ]),
    ]),
  ].join('\n\n');
}

function renderScenario(runs: readonly Run[]): string[] {
  const [first] = runs;
  if (!first) return [];
  const { title, limits: bounds, sesPerSecond } = first.scenario;
  return [
    `### ${title}`,
    `\`MAIL_RATE=${sesPerSecond}\`, ${bounds.min} to ${bounds.max} instances.`,
    `![${title}](${plotOf(runs)})`,
    table(figuresOf(runs)),
  ];
}

const plotOf = (runs: readonly Run[]): string =>
  `images/scaling-${runs[0]?.scenario.name ?? ''}.svg`;

function settingsRows(): readonly Row[] {
  const day = scenarioNamed('day');
  return [
    ['used part of a worker', ...CATCH_UPS.map((seconds) => `done within ${seconds} s`)],
    ...UTILISATIONS.map((utilisation) =>
      [String(utilisation)].concat(
        CATCH_UPS.map((catchUpSeconds) => {
          const { waits, instanceHours, added, removed } = simulate(
            day,
            byWork({ utilisation, catchUpSeconds }),
          );
          return `${duration(waits.p99)}, ${duration(waits.longest)}; ${instanceHours.toFixed(1)} hours, ${added + removed} changes`;
        }),
      ),
    ),
  ];
}

const startRows = (): readonly Row[] => [
  ['a worker works after', '95 % waited', '99 %', 'longest', 'within a minute'],
  ...START_SECONDS.map((seconds) => {
    const { waits } = simulate(scenarioNamed('day'), byWork(), seconds);
    return [
      duration(seconds),
      duration(waits.p95),
      duration(waits.p99),
      duration(waits.longest),
      percent(waits.withinMinute),
    ];
  }),
];

/** What the two columns of API instances assume. */
function hashingNote(): string {
  const vcpus = assumed('vCPUs of a large API instance');
  const [threads, usual] = [threadsFor(vcpus), assumed('thread pool of the image')];
  return [
    `API instances hash on ${vcpus} vCPUs each: ${hashesAtOnce(vcpus, threads)} passwords at a time with \`UV_THREADPOOL_SIZE=${threads}\`,`,
    `and ${hashesAtOnce(vcpus)} with ${usual}, which the image sets. What is run without the image has 4, and hashes 2.`,
  ].join(' ');
}

const needRows = (): readonly Row[] => [
  [
    'registrations a second',
    'cores that hash',
    'API instances',
    'with the thread pool of the image',
    'workers',
    'with 100 connections each',
    'PostgreSQL',
    'WAL',
    'Redis',
    'logs',
    'mails a day',
  ],
  ...needs().map((need) => [
    grouped(need.perSecond),
    rounded(need.hashCores),
    grouped(need.hashInstances),
    grouped(need.imageHashInstances),
    grouped(need.workers),
    grouped(need.wideWorkers),
    `${rounded(need.postgresCores)} cores`,
    `${rounded(need.walBytesPerSecond / 1e6)} MB/s`,
    `${rounded(need.redisCores)} cores`,
    `${rounded(need.logBytesPerSecond / 1_048_576)} MiB/s, ${rounded((need.logBytesPerSecond / assumed('Firehose, large regions')) * 100)} % of a stream`,
    `${rounded(need.mailsPerDay / 1e6)} million`,
  ]),
];

function table([head = [], ...rows]: readonly Row[]): string {
  const line = (cells: Row): string => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, column) => (column === 0 ? '---' : '--:'));
  return [line(head), `| ${rule.join(' | ')} |`, ...rows.map(line)].join('\n');
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  const minutes = seconds / 60;
  return minutes < 120 ? `${minutes.toFixed(0)} min` : `${(minutes / 60).toFixed(1)} h`;
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const grouped = (value: number): string => value.toLocaleString('en');

/** Two digits that count, or whole numbers from ten on. */
const rounded = (value: number): string =>
  value.toLocaleString(
    'en',
    value < 10 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 },
  );

const written = (value: number): string =>
  value.toLocaleString('en', { maximumSignificantDigits: 7 });
