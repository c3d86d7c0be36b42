import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bringAbout } from '../chaos/faults.js';
import { settleAccounts } from '../chaos/reconcile.js';
import { startLoad } from '../chaos/load.js';
import { runOutage } from '../chaos/outage.js';
import { planFaults, victims } from '../chaos/plan.js';
import { createRandom } from '../random.js';
import { describe, lostNothing, type ChaosReport } from '../chaos/report.js';
import { openStage, type Stage } from '../chaos/environment.js';
import { readOptions } from '../options.js';
import { listenForStop } from '../command-line.js';

// `npm run chaos`: everything is killed and cut off at random while admins register; then the accounts are settled.

const USAGE = `npm run chaos -- [--seconds N] [--seed N] [--outage] [--json] [--keep]

  --seconds N   how long faults are brought about; 20
  --seed N      the plan of a run before; else a new one, which is printed
  --outage      not chaos but one long outage of Firehose and, for a fifth of it, of Redis, with the API killed at its
                end; measures how fast the API answers meanwhile
  --json        the report as one JSON object
  --keep        leave the logs and records where they are, and say where

Exit code 0 only when nothing was lost and no process ended by itself. Ctrl-C stops all of it, and settles nothing.
`;

const STOPPED = 130;
const CLIENTS = 4;
const PAUSE_MS = 400;

const stop = listenForStop();
process.exitCode = await main();
// The run that was broken off may be about to start something again: it ends here, and takes that with it.
if (stop.aborted) process.exit(STOPPED);

async function main(): Promise<number> {
  const given = readOptions(USAGE, {
    options: {
      seconds: { type: 'string', default: '20' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      outage: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (!given) return 64;
  const { values } = given;
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  if (values.help || !(seconds > 0 && seconds <= 3_600) || !Number.isInteger(seed)) {
    process.stdout.write(USAGE);
    return values.help ? 0 : 64;
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-chaos-'));
  try {
    const stage = await openStage(dataDir);
    try {
      const report = await untilStopped(async () =>
        values.outage ? runOutage(stage, seconds * 1_000) : runChaos(stage, seconds, seed),
      );
      if (!report) return STOPPED;
      process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : describe(report));
      const ownEnds = victims.flatMap((name) => stage.processes[name].ownEnds).length;
      return lostNothing(report) && ownEnds === 0 ? 0 : 1;
    } finally {
      await stage.close();
    }
  } finally {
    if (values.keep) process.stderr.write(`logs and records: ${dataDir}\n`);
    else await rm(dataDir, { recursive: true, force: true });
  }
}

/** What the run resolves to, or `undefined` as soon as all is to stop. */
async function untilStopped<T>(run: () => Promise<T>): Promise<T | undefined> {
  if (stop.aborted) return undefined;
  const stopped = new Promise<undefined>((resolve) => {
    stop.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  return Promise.race([run(), stopped]);
}

async function runChaos(stage: Stage, seconds: number, seed: number): Promise<ChaosReport> {
  process.stderr.write(`seed ${seed}, ${seconds} s of faults\n`);
  const load = startLoad({ api: stage.api, clients: CLIENTS, pauseMs: PAUSE_MS });
  const durationMs = seconds * 1_000;
  const plan = planFaults(createRandom(seed), durationMs);
  const faults = await bringAbout(stage, plan, durationMs);
  await load.stop();
  const outcome = await settleAccounts(stage, load.acknowledged);
  return {
    seed,
    seconds,
    faults,
    acknowledged: load.acknowledged.size,
    unanswered: load.unanswered(),
    ...outcome,
    ownEnds: victims.flatMap((name) => stage.processes[name].ownEnds).length,
    refusedFirehoseCalls: stage.firehose.stats().refused_calls,
  };
}
