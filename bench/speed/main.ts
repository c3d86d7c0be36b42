import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenForStop } from '../../dev/command-line.js';
import { installBaselines } from './baselines.js';
import { catalogue } from './catalogue.js';
import { leaveMeasuredCpu } from './cpus.js';
import type { DatasetSize } from './dataset.js';
import { compareWithFloors, readFloors, writeFloors } from './floors.js';
import { readWanted, type Wanted } from './options.js';
import { runPaired, type Outcome } from './paired-rounds.js';
import { writeDocument } from './report/document.js';
import { describeMachine, type Machine } from './report/machine.js';
import { print, printFloors, printMachine, printOutcome } from './report/terminal.js';
import { openWorld } from './world.js';

// `npm run bench`: measures the service beside the limit, beside the same packages as usually written, and beside a peer.

const STOPPED = 130;
const FULL: DatasetSize = { admins: 1_000, usersPerAdmin: 100, listing: 1_000_000 };
const SHORT: DatasetSize = { admins: 1_000, usersPerAdmin: 100, listing: 100_000 };

// At once: what could not be opened whole may have left a receiver open.
process.exit(await main());

async function main(): Promise<number> {
  const wanted = await readWanted();
  if (typeof wanted === 'number') return wanted;
  const stop = listenForStop();
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-bench-'));
  try {
    return await run(wanted, dataDir, stop);
  } catch (error) {
    if (!stop.aborted) throw error;
    return STOPPED;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function run(wanted: Wanted, dataDir: string, stop: AbortSignal): Promise<number> {
  const { measurements, plan, isCheck, isWritten } = wanted;
  await installBaselines(stop);
  leaveMeasuredCpu();
  const { outcomes, machine } = await measureAll(wanted, dataDir, stop);
  const isComplete = outcomes.length === measurements.length;
  if (isWritten) {
    if (measurements.length === catalogue.length) await writeDocument(outcomes, machine, plan);
    if (plan.isShort) await writeFloors(outcomes);
  }
  if (!isCheck) return isComplete ? 0 : 1;
  const comparisons = compareWithFloors(await readFloors(), outcomes);
  printFloors(comparisons);
  return isComplete && comparisons.every(({ hasFallen }) => !hasFallen) ? 0 : 1;
}

/** One after the other; what fails is reported, and left out. */
async function measureAll(
  { measurements, plan }: Wanted,
  dataDir: string,
  stop: AbortSignal,
): Promise<{ outcomes: Outcome[]; machine: Machine }> {
  const world = await openWorld(dataDir, plan.isShort ? SHORT : FULL, stop);
  const outcomes: Outcome[] = [];
  try {
    const machine = await describeMachine(world);
    printMachine(machine);
    for (const measurement of measurements) {
      try {
        const outcome = await runPaired(measurement, world, plan);
        outcomes.push(outcome);
        printOutcome(outcome);
      } catch (error) {
        stop.throwIfAborted();
        print(`\n${measurement.name}: NOT MEASURED: ${String(error)}`);
      }
    }
    return { outcomes, machine };
  } finally {
    await world.close();
  }
}
