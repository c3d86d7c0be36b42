import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openChaosEnvironment, processNames, type ChaosEnvironment } from './environment.js';
import { injectFaults, planFaults } from './faults.js';
import { startLoad } from './load.js';
import { runOutage } from './outage.js';
import { reconcile } from './reconcile.js';
import { describe, lostNothing, type ChaosReport } from './report.js';
import { listenForStop, readOptions } from '../command-line.js';
import { createRandom } from '../random.js';

// `npm run chaos`: kills processes and servers at random while admins register, then counts lost and doubled mails and
// log lines.

const USAGE = `npm run chaos -- [--seconds N] [--seed N] [--outage] [--json] [--keep]

  --seconds N   how long faults are injected; 20
  --seed N      repeats the fault plan of an earlier run; without it, a new seed is chosen and printed
  --outage      instead of random faults, one long outage of Firehose and, for a fifth of it, of Redis, with the API
                killed at its end; measures the API's latency before, during and after
  --json        the report as one JSON object
  --keep        keep the logs and records, and print where they are

Exit code 0 only when nothing was lost and no process exited unexpectedly. Ctrl-C stops the run without a report.
`;

const STOPPED = 130;
const CLIENTS = 4;
const PAUSE_MS = 400;

const stop = listenForStop();
process.exitCode = await main();
// The interrupted run may still be restarting a process: exiting kills its children.
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
    const environment = await openChaosEnvironment(dataDir);
    try {
      const report = await untilStopped(async () =>
        values.outage
          ? runOutage(environment, seconds * 1_000)
          : runChaos(environment, seconds, seed),
      );
      if (!report) return STOPPED;
      process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : describe(report));
      return lostNothing(report) && countUnexpectedExits(environment) === 0 ? 0 : 1;
    } finally {
      await environment.close();
    }
  } finally {
    if (values.keep) process.stderr.write(`logs and records: ${dataDir}\n`);
    else await rm(dataDir, { recursive: true, force: true });
  }
}

/** Resolves to the result of the run, or to `undefined` as soon as the program is told to stop. */
async function untilStopped<T>(run: () => Promise<T>): Promise<T | undefined> {
  if (stop.aborted) return undefined;
  const stopped = new Promise<undefined>((resolve) => {
    stop.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  return Promise.race([run(), stopped]);
}

async function runChaos(
  environment: ChaosEnvironment,
  seconds: number,
  seed: number,
): Promise<ChaosReport> {
  process.stderr.write(`seed ${seed}, ${seconds} s of faults\n`);
  const load = startLoad({ api: environment.api, clients: CLIENTS, pauseMs: PAUSE_MS });
  const durationMs = seconds * 1_000;
  const plan = planFaults(createRandom(seed), durationMs);
  const faults = await injectFaults(environment, plan, durationMs);
  await load.stop();
  const outcome = await reconcile(environment, load.acknowledged);
  return {
    seed,
    seconds,
    faults,
    acknowledged: load.acknowledged.size,
    unanswered: load.unanswered(),
    ...outcome,
    ownEnds: countUnexpectedExits(environment),
    refusedFirehoseCalls: environment.firehose.stats().refused_calls,
  };
}

function countUnexpectedExits({ processes }: ChaosEnvironment): number {
  return processNames.flatMap((name) => processes[name].unexpectedExits).length;
}
