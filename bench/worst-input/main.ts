import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { listenForStop, readOptions } from '../../dev/command-line.js';
import { openApiUnderLoad, type ApiUnderLoad } from './api-under-load.js';
import { inputs, ordinary, type Input } from './inputs.js';

// `npm run bench:worst-input`: measures how long the costliest requests that we know of block the API's event loop, and how
// much they delay other requests. It asserts nothing, since times depend on the machine.

const USAGE = `npm run bench:worst-input -- [--seconds N] [--rate N] [--rounds N]

  --seconds N   duration of each phase of a round; 10
  --rate N      requests per second of load while /health/live is probed; 30
  --rounds N    rounds of two phases: ordinary 404s, then the worst path and the worst header; 3
`;

const PASSES = 5;
const REQUESTS_PER_PASS = 40;
const PAUSE_BETWEEN_PROBES_MS = 20;
const live: Input = { name: 'live', path: '/health/live', headers: {} };

process.exitCode = await main();

async function main(): Promise<number> {
  const given = readOptions(USAGE, {
    options: {
      seconds: { type: 'string', default: '10' },
      rate: { type: 'string', default: '30' },
      rounds: { type: 'string', default: '3' },
      help: { type: 'boolean', default: false },
    },
  });
  if (!given) return 64;
  const [seconds, rate, rounds] = [
    given.values.seconds,
    given.values.rate,
    given.values.rounds,
  ].map(Number);
  const isValid = [seconds, rate, rounds].every((figure) => figure !== undefined && figure > 0);
  if (given.values.help || !isValid) {
    process.stdout.write(USAGE);
    return given.values.help ? 0 : 64;
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-worst-'));
  try {
    const api = await openApiUnderLoad(dataDir, listenForStop());
    try {
      const [path, header] = await findWorst(api);
      await compare(api, [path, header], { seconds, rate, rounds } as Plan);
    } finally {
      await api.close();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
  return 0;
}

/** Prints the cost of each kind of request; resolves to the costliest path and the costliest header. */
async function findWorst(api: ApiUnderLoad): Promise<[path: Input, header: Input]> {
  const costs = [ordinary, ...inputs].map((input) => ({ input, ms: Infinity }));
  // The minimum of several passes: other load on the machine and JIT compilation only ever add to it.
  for (let pass = 0; pass < PASSES; pass += 1)
    for (const cost of costs) cost.ms = Math.min(cost.ms, await costOf(api, cost.input));
  costs.sort((one, other) => other.ms - one.ms);
  print('event loop per request:');
  for (const { input, ms } of costs) print(`${ms.toFixed(3).padStart(9)} ms  ${input.name}`);
  const worst = (isPath: boolean): Input =>
    costs.find(({ input }) => input.name.startsWith('path: ') === isPath)?.input ?? ordinary;
  return [worst(true), worst(false)];
}

async function costOf(api: ApiUnderLoad, input: Input): Promise<number> {
  const before = api.cpuMs();
  for (let i = 0; i < REQUESTS_PER_PASS; i += 1) await api.send(input);
  return (api.cpuMs() - before) / REQUESTS_PER_PASS;
}

interface Plan {
  readonly seconds: number;
  readonly rate: number;
  readonly rounds: number;
}

/** Probes `/health/live` under load by ordinary requests and by the worst ones, in turns, and prints the latencies. */
async function compare(
  api: ApiUnderLoad,
  worst: readonly Input[],
  { seconds, rate, rounds }: Plan,
): Promise<void> {
  const latencies = { ordinary: [] as number[], worst: [] as number[] };
  for (let round = 0; round < rounds; round += 1) {
    latencies.ordinary.push(
      ...(await probeUnderLoad(
        api,
        worst.map(() => ordinary),
        seconds,
        rate,
      )),
    );
    latencies.worst.push(...(await probeUnderLoad(api, worst, seconds, rate)));
  }
  print(`\n/health/live beside ${rate} requests per second of each kind:`);
  print(summary(latencies.ordinary, ordinary.name));
  print(summary(latencies.worst, worst.map(({ name }) => name).join(' + ')));
}

async function probeUnderLoad(
  api: ApiUnderLoad,
  load: readonly Input[],
  seconds: number,
  rate: number,
): Promise<number[]> {
  const inFlight = new Set<Promise<unknown>>();
  const timer = setInterval(() => {
    for (const input of load) {
      const sending = api.send(input).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
    }
  }, 1_000 / rate);
  const until = performance.now() + seconds * 1_000;
  const took: number[] = [];
  while (performance.now() < until) {
    took.push(await api.send(live));
    await delay(PAUSE_BETWEEN_PROBES_MS);
  }
  clearInterval(timer);
  await Promise.all(inFlight);
  return took;
}

function summary(took: readonly number[], name: string): string {
  const sorted = took.toSorted((one, other) => one - other);
  const at = (part: number): string =>
    (sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN).toFixed(2).padStart(8);
  return `  median ${at(0.5)} ms  p99 ${at(0.99)} ms  (${took.length} probes)  ${name}`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
