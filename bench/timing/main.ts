import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { createPasswords } from '../../api/passwords/passwords.js';
import { listenForStop, readOptions } from '../../dev/command-line.js';
import { randomPassword } from '../../dev/stack/secrets.js';
import { loadApiConfig } from '../../shared/config/config.js';
import { openLocalApi, type LocalApi } from '../local-api.js';
import { createAccounts } from './accounts.js';
import { measure, trials, type Trial } from './measure.js';
import { compare, type Comparison } from './statistics.js';

// `npm run timing`: measures whether response times reveal that an address is known (a timing side channel).

/** All requests come from one network, so the rate limits must be out of the way. */
const RATE_LIMIT_SCALE = '100000';

const USAGE = `npm run timing -- [--samples N] [--only ROUTE] [--json]

  --samples N   how many responses of each kind, 10 to 10000; 200
  --only ROUTE  register, resend, forgot or login; may be repeated
  --json        the report as one JSON object

Settings such as BCRYPT_COST are taken from the environment; RATE_LIMIT_SCALE is ${RATE_LIMIT_SCALE} unless it is set.
Exit code 0 only when no route distinguishes known from unknown addresses: area under the ROC curve 0.40 to 0.60.
`;

const ACCEPTED = { from: 0.4, to: 0.6 } as const;
const WARM_UP = 10;
const HEADING = 'route     known      AUC    medians: known, unknown';
const STOPPED = 130;

interface Result extends Trial, Comparison {
  /** True if the response times reveal that an address is known. */
  readonly tells: boolean;
}

process.exitCode = await main();

async function main(): Promise<number> {
  const given = readOptions(USAGE, {
    options: {
      samples: { type: 'string', default: '200' },
      only: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (!given) return 64;
  const { help, json, only } = given.values;
  const samples = Number(given.values.samples);
  const chosen = trials.filter(({ route }) => only?.includes(route) ?? true);
  const isUnknown = only?.some((name) => !trials.some(({ route }) => route === name)) ?? false;
  const isCount = Number.isInteger(samples) && samples >= 10 && samples <= 10_000;
  if (help || isUnknown || !isCount) {
    process.stdout.write(USAGE);
    return help ? 0 : 64;
  }
  const stop = listenForStop();
  const dataDir = await mkdtemp(join(tmpdir(), 'rollcall-timing-'));
  try {
    const variables = { RATE_LIMIT_SCALE };
    const api = await openLocalApi({ dataDir, durable: true, variables, signal: stop });
    try {
      return await compareAll(api, chosen, { samples, json, stop });
    } finally {
      await api.close();
    }
  } catch (error) {
    if (!stop.aborted) throw error;
    return STOPPED;
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function compareAll(
  { server, postgresUrl, environment }: LocalApi,
  chosen: readonly Trial[],
  { samples, json, stop }: { samples: number; json: boolean; stop: AbortSignal },
): Promise<number> {
  const { passwords } = loadApiConfig(environment);
  const hash = await (await createPasswords(passwords)).hash(randomPassword());
  const settings = settingsOf(environment, samples);
  if (!json) process.stdout.write(`${settings}\n\n${HEADING}\n`);
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    const results: Result[] = [];
    for (const trial of chosen) {
      const count = samples + WARM_UP;
      const addresses = {
        known: await createAccounts(client, trial.known, count, hash),
        unknown: await createAccounts(client, 'unknown', count, hash),
      };
      const measured = await measure(server.url, trial, addresses, {
        warmUp: WARM_UP,
        signal: stop,
      });
      const comparison = compare(measured.known, measured.unknown);
      const tells = comparison.auc < ACCEPTED.from || comparison.auc > ACCEPTED.to;
      const result = { ...trial, ...comparison, tells };
      results.push(result);
      if (!json) process.stdout.write(`${describe(result)}\n`);
    }
    if (json) process.stdout.write(`${JSON.stringify({ settings, results })}\n`);
    return results.some(({ tells }) => tells) ? 1 : 0;
  } finally {
    await client.end();
  }
}

function settingsOf(environment: Readonly<Record<string, string>>, samples: number): string {
  return [
    `${samples} samples of each kind, in random order, one at a time`,
    ...['BCRYPT_COST', 'RATE_LIMIT_SCALE'].map((name) => `${name}=${environment[name]}`),
    `Node ${process.versions.node}`,
    `${availableParallelism()} cores`,
  ].join(', ');
}

function describe({ route, known, auc, medians, tells }: Result): string {
  const [ofKnown, ofUnknown] = medians.map((ms) => `${ms.toFixed(2)} ms`.padStart(10));
  const verdict = tells
    ? `REVEALS known addresses: outside ${ACCEPTED.from.toFixed(2)} to ${ACCEPTED.to.toFixed(2)}`
    : `reveals nothing: within ${ACCEPTED.from.toFixed(2)} to ${ACCEPTED.to.toFixed(2)}`;
  return `${route.padEnd(9)} ${known.padEnd(10)} ${auc.toFixed(3)}  ${ofKnown} ${ofUnknown}  ${verdict}`;
}
