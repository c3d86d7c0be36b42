import { randomInt } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bringAbout, type FaultCounts } from './chaos/faults.js';
import { settleAccounts, type Outcome } from './chaos/ledger.js';
import { startLoad } from './chaos/load.js';
import { planFaults, victims } from './chaos/plan.js';
import { createRandom } from './chaos/random.js';
import { openStage } from './chaos/stage.js';

// `npm run chaos`: everything is killed and cut off at random while admins register; then the accounts are settled.

const USAGE = `npm run chaos -- [--seconds N] [--seed N] [--json] [--keep]

  --seconds N   how long faults are brought about; 20
  --seed N      the plan of a run before; else a new one, which is printed
  --json        the report as one JSON object
  --keep        leave the logs and records where they are, and say where

Exit code 0 only when nothing was lost and no process ended by itself.
`;

const CLIENTS = 6;
const PAUSE_MS = 300;

/** What a run came to. */
interface Report extends Outcome {
  readonly seed: number;
  readonly seconds: number;
  readonly faults: FaultCounts;
  readonly acknowledged: number;
  readonly unanswered: number;
  /** Processes that nobody killed. */
  readonly ownEnds: number;
  readonly refusedFirehoseCalls: number;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '20' },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
  if (values.help || !(seconds > 0 && seconds <= 3_600) || !Number.isInteger(seed)) {
    process.stdout.write(USAGE);
    return values.help ? 0 : 64;
  }
  process.stderr.write(`seed ${seed}, ${seconds} s of faults\n`);
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-chaos-'));
  try {
    const report = await run(dataDir, seconds, seed);
    process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : describe(report));
    return report.lostMails.length + report.lostLines.length + report.ownEnds === 0 ? 0 : 1;
  } finally {
    if (values.keep) process.stderr.write(`logs and records: ${dataDir}\n`);
    else await rm(dataDir, { recursive: true, force: true });
  }
}

async function run(dataDir: string, seconds: number, seed: number): Promise<Report> {
  const stage = await openStage(dataDir);
  try {
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
  } finally {
    await stage.close();
  }
}

function describe(report: Report): string {
  const { faults } = report;
  const secondsOf = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const rows: [string, string][] = [
    ['process kills', String(faults.kill)],
    ['Redis wipes', String(faults['wipe-redis'])],
    ['PostgreSQL restarts', String(faults['restart-postgres'])],
    ['SMTP outages', String(faults['smtp-outage'])],
    ['Firehose outages', String(faults['firehose-outage'])],
    ['processes that ended by themselves', String(report.ownEnds)],
    ['registrations acknowledged', `${report.acknowledged} (${report.unanswered} unanswered)`],
    ['mails promised', String(report.promisedMails)],
    ['mails lost', String(report.lostMails.length)],
    ['mails doubled', String(report.doubledMails)],
    ['mails drained in', secondsOf(report.mailsDrainedMs)],
    ['log lines written by the API', String(report.lines)],
    ['log lines lost', String(report.lostLines.length)],
    ['log lines doubled', String(report.doubledLines)],
    ['log lines drained in', secondsOf(report.linesDrainedMs)],
    ['Firehose calls over a limit', String(report.refusedFirehoseCalls)],
  ];
  return rows.map(([what, value]) => `${what.padEnd(36)}${value}\n`).join('');
}
