import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { redStateNames, redStates } from '../../shared/alerts/red-states.js';
import { untilLive } from '../stack/processes/application.js';
import { openAlertsEnvironment, type AlertsEnvironment } from './environment.js';
import type { Arrival, Inboxes } from './inboxes.js';
import { scenarios, type Scenario } from './scenarios.js';
import { listenForStop, readOptions } from '../command-line.js';

// `npm run alerts`: causes the fault of each alert in a stack of its own, and prints when the alert was told by webhook and
// by mail, and when its end was.

const USAGE = `npm run alerts -- [STATE ...] [--keep]

  STATE    only the faults of these alerts; all of them by default, which takes about half an hour
  --keep   keep the logs, and print where they are

Exit code 0 only when each alert was seen to fire and to clear, by webhook and by mail.
`;

const WITHIN_MS = 300_000;

const stop = listenForStop();
process.exitCode = await main();
if (stop.aborted) process.exit(130);

async function main(): Promise<number> {
  const given = readOptions(USAGE, {
    allowPositionals: true,
    options: {
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (!given) return 64;
  if (given.values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const wanted = given.positionals;
  const chosen = scenarios.filter(
    ({ states }) => wanted.length === 0 || states.some((state) => wanted.includes(state)),
  );
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-alerts-'));
  try {
    const environment = await openAlertsEnvironment(dataDir);
    try {
      return await run(environment, chosen, wanted.length === 0);
    } finally {
      await environment.close();
    }
  } finally {
    if (given.values.keep) process.stderr.write(`logs: ${dataDir}\n`);
    else await rm(dataDir, { recursive: true, force: true });
  }
}

async function run(
  environment: AlertsEnvironment,
  chosen: readonly Scenario[],
  isWhole: boolean,
): Promise<number> {
  const { processes, inboxes } = environment;
  await processes.api.start();
  await processes.worker.start();
  await untilLive(environment.api);
  let missing = await awaitHeartbeat(inboxes);
  for (const scenario of chosen) missing += await play(environment, scenario);
  missing += await awaitHeartbeat(inboxes);
  const seen = new Set(chosen.flatMap(({ states }) => states));
  const untried = isWhole ? redStateNames.filter((name) => !seen.has(name)) : [];
  for (const name of untried) process.stdout.write(`NOT TRIED   ${name}\n`);
  process.stdout.write(`${seen.size} alerts, ${missing + untried.length} not seen\n`);
  return missing + untried.length === 0 ? 0 : 1;
}

/** It is called only while nothing is red. */
async function awaitHeartbeat({ heartbeats }: Inboxes): Promise<number> {
  const before = heartbeats();
  const isCalled = await until(() => heartbeats() > before);
  process.stdout.write(`heartbeat   ${isCalled ? 'called, all is well' : 'NOT CALLED'}\n`);
  return isCalled ? 0 : 1;
}

/** Plays one scenario, and resolves to how many arrivals were missing. */
async function play(environment: AlertsEnvironment, scenario: Scenario): Promise<number> {
  const { inboxes } = environment;
  process.stdout.write(`\n${scenario.fault}\n`);
  const before = inboxes.arrivals.length;
  const causedAt = Date.now();
  await scenario.cause(environment);
  const found = (kind: Arrival['kind'], way: Arrival['way'], state: string) =>
    inboxes.arrivals
      .slice(before)
      .find((arrival) => arrival.kind === kind && arrival.way === way && isOf(arrival, state));
  const areAll = (kind: Arrival['kind'], ways: readonly Arrival['way'][]): boolean =>
    scenario.states.every((state) => ways.every((way) => found(kind, way, state)));
  await until(() => areAll('raised', scenario.withoutMail ? ['webhook'] : ['webhook', 'mail']));
  const mendedAt = Date.now();
  await scenario.mend(environment);
  await until(() => areAll('cleared', ['webhook', 'mail']));
  let missing = 0;
  for (const state of scenario.states) {
    const told = (kind: Arrival['kind'], way: Arrival['way'], since: number): string => {
      const arrival = found(kind, way, state);
      if (arrival) return `${way} ${Math.round((arrival.at - since) / 1_000)} s`;
      if (kind === 'raised' && way === 'mail' && scenario.withoutMail) return 'mail with its end';
      missing += 1;
      return `${way} NOT SEEN`;
    };
    const fired = `${told('raised', 'webhook', causedAt)}, ${told('raised', 'mail', causedAt)}`;
    const cleared = `${told('cleared', 'webhook', mendedAt)}, ${told('cleared', 'mail', mendedAt)}`;
    process.stdout.write(`  ${state.padEnd(24)}fired: ${fired.padEnd(34)}cleared: ${cleared}\n`);
  }
  return missing;
}

/** A mail has the title, a webhook the name. */
function isOf({ way, state }: Arrival, name: string): boolean {
  if (way === 'webhook') return state === name;
  return redStateNames.some((each) => each === name && redStates[each].title === state);
}

/** Resolves to whether it came true in time. */
async function until(isTrue: () => boolean): Promise<boolean> {
  const deadline = Date.now() + WITHIN_MS;
  while (!isTrue()) {
    if (Date.now() > deadline || stop.aborted) return false;
    await delay(250);
  }
  return true;
}
