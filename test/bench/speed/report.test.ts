import test from 'ava';
import { compareWithFloors } from '../../../bench/speed/floors.js';
import { createHistogram, percentileMs, record } from '../../../bench/speed/load/histogram.js';
import { judge, type Outcome } from '../../../bench/speed/paired-rounds.js';
import { replaceMeasured } from '../../../bench/speed/report/document.js';
import { renderPlot, shareOfGoal } from '../../../bench/speed/report/plot.js';
import { shareProcess } from '../../helpers/context.js';

shareProcess();

const rounds = [
  { ours: { perSecond: 100, cpuUs: 10 }, theirs: { perSecond: 50, cpuUs: 30 } },
  { ours: { perSecond: 10, cpuUs: 100 }, theirs: { perSecond: 10, cpuUs: 200 } },
  { ours: { perSecond: 300, cpuUs: 4 }, theirs: { perSecond: 100, cpuUs: 16 } },
];
const faster = { figure: 'perSecond', of: 'ours', against: 'theirs' } as const;

test('a ratio is taken within a round, and the median over rounds decides', (t) => {
  const verdict = judge({ ...faster, atLeast: 2 }, rounds);
  t.like(verdict, { median: 2, best: 3, cpuRatio: 3, isMet: true });
  t.false(judge({ ...faster, atLeast: 2.1 }, rounds).isMet);
});

test('of an upper bound the least is the best', (t) => {
  const verdict = judge({ figure: 'cpuUs', of: 'ours', atMost: 9 }, rounds);
  t.like(verdict, { median: 10, best: 4, isMet: false });
  t.is(verdict.cpuRatio, undefined);
  t.is(shareOfGoal(verdict), 0.9);
});

test('a figure that is missing meets no goal', (t) => {
  t.false(judge({ ...faster, against: 'nobody', atLeast: 0 }, rounds).isMet);
  t.false(judge({ figure: 'p99Ms', of: 'ours', atMost: 1e9 }, rounds).isMet);
});

test('percentiles are exact to a percent or two', (t) => {
  const histogram = createHistogram();
  for (let us = 1; us <= 100_000; us += 1) record(histogram, us);
  for (const share of [0.01, 0.5, 0.9, 0.99])
    t.true(Math.abs(percentileMs(histogram, share) / (share * 100) - 1) < 0.02, `${share}`);
  t.true(Number.isNaN(percentileMs(createHistogram(), 0.5)));
});

const outcomeOf = (atLeast: number): Outcome => ({
  name: 'read',
  title: 'reads & <more>',
  settings: 'none',
  rounds: 3,
  repeated: 0,
  contenders: { ours: { perSecond: 100 }, theirs: { perSecond: 50 } },
  verdicts: [
    judge({ ...faster, atLeast }, rounds),
    judge({ figure: 'perSecond', of: 'ours', atLeast: 1 }, rounds),
  ],
});

test('a ratio may fall by a quarter against the committed one', (t) => {
  const fallen = (committed: number): boolean[] =>
    compareWithFloors({ read: { 'ours against theirs': committed } }, [outcomeOf(2)]).map(
      ({ hasFallen }) => hasFallen,
    );
  t.deepEqual(fallen(3), [false], 'by CPU the ratio is 3');
  t.deepEqual(fallen(3.99), [false]);
  t.deepEqual(fallen(4.1), [true]);
  t.deepEqual(compareWithFloors({ list: { 'ours against theirs': 9 } }, [outcomeOf(2)]), []);
  t.like(compareWithFloors({ read: { 'ours against others': 1 } }, [outcomeOf(2)])[0], {
    found: undefined,
    hasFallen: true,
  });
});

test('only what is between the markers of the document is replaced', (t) => {
  const begin = '<!-- measured: written by `npm run bench` -->';
  const end = '<!-- end of what is measured -->';
  const text = `# Title\n\n${begin}\n\nold\n\n${end}\n\nafter\n`;
  const replaced = replaceMeasured(text, 'new');
  t.is(replaced, `# Title\n\n${begin}\n\nnew\n${end}\n\nafter\n`);
  t.is(replaceMeasured(replaced, 'new'), replaced);
  t.throws(() => replaceMeasured('# Title\n', 'new'), { message: /markers/ });
});

test('the plot has a bar for each goal, and its texts are escaped', (t) => {
  const svg = renderPlot([outcomeOf(1)]);
  t.is(svg.match(/<rect /g)?.length, 2);
  t.false(svg.includes('<more>'));
  t.true(svg.includes('prefers-color-scheme: dark'));
});
