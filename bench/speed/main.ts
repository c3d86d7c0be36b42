import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenForStop, readOptions } from '../../dev/command-line.js';
import { installBaselines } from './baselines.js';
import { catalogue } from './catalogue.js';
import { canPin, leaveMeasuredCpu } from './cpus.js';
import type { DatasetSize } from './dataset.js';
import type { Measurement, Plan } from './measurement.js';
import { runPaired, type Outcome } from './paired-rounds.js';
import { aligned, figuresOf, verdictHead, verdictOf } from './report/table.js';
import { openWorld } from './world.js';

// `npm run bench`: measures the service beside the limit, beside the same packages as usually written, and beside a peer.

const USAGE = `npm run bench -- [NAME ...] [--short] [--rounds N] [--seconds N]

  NAME         only these measurements: ${catalogue.map(({ name }) => name).join(' ')}
  --short      three short rounds over fewer rows, in under three minutes
  --rounds N   rounds; 5, with --short 3
  --seconds N  duration of each contender's part in a round; 3, with --short 0.6
`;

const STOPPED = 130;
const PINNED =
  'The process under test has CPU 0; load, PostgreSQL, Redis and the other servers have CPU 1.';
const NOT_PINNED =
  'NOT PINNED, since taskset or a second CPU is missing: the load takes CPU from what it measures.';
const FULL: DatasetSize = { admins: 1_000, usersPerAdmin: 100, listing: 1_000_000 };
const SHORT: DatasetSize = { admins: 1_000, usersPerAdmin: 100, listing: 100_000 };

process.exitCode = await main();

async function main(): Promise<number> {
  const given = readOptions(USAGE, {
    allowPositionals: true,
    options: {
      short: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (!given) return 64;
  const { short: isShort, help } = given.values;
  const rounds = Number(given.values.rounds ?? (isShort ? 3 : 5));
  const seconds = Number(given.values.seconds ?? (isShort ? 0.6 : 3));
  const names = given.positionals;
  const isKnown = names.every((name) => catalogue.some((measurement) => measurement.name === name));
  const isPlan = Number.isInteger(rounds) && rounds >= 1 && rounds <= 100 && seconds > 0;
  if (help || !isKnown || !isPlan) {
    process.stdout.write(USAGE);
    return help ? 0 : 64;
  }
  const chosen = catalogue.filter(({ name }) => names.length === 0 || names.includes(name));
  const plan: Plan = {
    isShort,
    rounds,
    roundMs: seconds * 1_000,
    warmUpMs: isShort ? 1_500 : 4_000,
  };
  return run(chosen, plan);
}

async function run(chosen: readonly Measurement[], plan: Plan): Promise<number> {
  const stop = listenForStop();
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-bench-'));
  try {
    await installBaselines(stop);
    leaveMeasuredCpu();
    print(canPin() ? PINNED : NOT_PINNED);
    const world = await openWorld(dataDir, plan.isShort ? SHORT : FULL, stop);
    try {
      for (const measurement of chosen) printOutcome(await runPaired(measurement, world, plan));
    } finally {
      await world.close();
    }
    return 0;
  } catch (error) {
    if (!stop.aborted) throw error;
    return STOPPED;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

function printOutcome(outcome: Outcome): void {
  print(
    `\n${outcome.name}: ${outcome.title} (settings: ${outcome.settings}; ${outcome.rounds} rounds)`,
  );
  print(indented(aligned(figuresOf(outcome))));
  print(indented(aligned([verdictHead, ...outcome.verdicts.map(verdictOf)])));
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
