import { cpus } from 'node:os';
import pg from 'pg';
import { hashConcurrency } from '../../../api/passwords/hash-limiter.js';
import { createPasswords } from '../../../api/passwords/passwords.js';
import { loadApiConfig } from '../../../shared/config/config.js';
import { createAccounts } from '../../timing/accounts.js';
import type { LoadJob } from '../load/load-job.js';
import { bearer, requestBytes } from '../load/requests.js';
import { PRODUCT, type Contender, type Measurement, type Sample } from '../measurement.js';
import type { MeasuredServer, ServerSpec, World } from '../world.js';
import { rateAndLatency, sampleHttp } from './http-measurement.js';
import { runBatch } from './batches.js';

const COST = 10;
const ACCOUNTS = 200;
const PASSWORD = 'violet kettle under nine bridges';
const SETTINGS = `BCRYPT_COST=${COST}, RATE_LIMIT_SCALE=100000 since all clients have one address; both CPUs`;
/** libuv's default. */
const THREADS = 4;

/** Hashing takes whole cores, so this API has all of them. */
const loginApi: ServerSpec = {
  name: 'login-api',
  program: { script: 'api/main' },
  variables: {
    NODE_ENV: 'development',
    BCRYPT_COST: String(COST),
    RATE_LIMIT_SCALE: '100000',
  },
  cpus: 'both',
};

const RAW = 'bcrypt';

/** Logins against nothing but their hashes. */
export const login: Measurement = {
  name: 'login',
  title: "POST /auth/login against bcrypt alone, as many at a time as the service's limiter allows",
  settings: SETTINGS,
  leastMs: 1_500,
  rounds: { full: 9, short: 2 },
  goals: [{ figure: 'perSecond', of: PRODUCT, against: RAW, atLeast: 0.95 }],
  async open(world) {
    const server = await world.server(loginApi);
    const logins = await loginJob(world, server, 4);
    const raw = await world.server(rawBcrypt());
    return {
      contenders: [
        {
          name: PRODUCT,
          sample: (durationMs) => sampleHttp(world, server, { ...logins, durationMs }),
        },
        { name: RAW, sample: (durationMs) => sampleHashes(world, raw, durationMs) },
      ],
    };
  },
};

const IN_STORM = 'reads beside logins';
const CALM = 'the same reads alone';

/** What logins do to everything else. */
export const storm: Measurement = {
  name: 'storm',
  title: 'GET /users/{id} on 4 connections beside 8 logins at a time',
  settings: SETTINGS,
  leastMs: 1_000,
  rounds: { full: 11, short: 3 },
  goals: [
    { figure: 'perSecond', of: IN_STORM, against: CALM, atLeast: 0.7 },
    { figure: 'p99Ms', of: IN_STORM, against: CALM, atMost: 15 },
  ],
  async open(world) {
    const server = await world.server(loginApi);
    const reads = readJob(world, server);
    const logins = await loginJob(world, server, 8);
    return {
      contenders: [
        besideLogins(IN_STORM, world, reads, [{ ...logins, expected: [200, 503] }]),
        besideLogins(CALM, world, reads, []),
      ],
    };
  },
};

const OVERLOADED = '/health/live';

/** Whether the service stays reachable when far more is asked of it than it can do. */
export const overload: Measurement = {
  name: 'overload',
  title: 'GET /health/live while 200 clients log in without pause; most are refused by 503',
  settings: SETTINGS,
  leastMs: 3_000,
  rounds: { full: 5, short: 1 },
  warmsUp: false,
  goals: [{ figure: 'p99Ms', of: OVERLOADED, atMost: 150 }],
  async open(world) {
    const server = await world.server(loginApi);
    const probe: LoadJob = {
      port: server.port,
      connections: 1,
      durationMs: 0,
      pauseMs: 10,
      requests: [requestBytes({ path: '/health/live' })],
      expected: [200],
    };
    const logins = { ...(await loginJob(world, server, 200)), expected: [200, 429, 503] };
    return { contenders: [besideLogins(OVERLOADED, world, probe, [logins])] };
  },
};

/** The figures of the first load alone, while the others run as well. */
function besideLogins(
  name: string,
  { generator }: World,
  measured: LoadJob,
  others: readonly LoadJob[],
): Contender {
  return {
    name,
    async sample(durationMs): Promise<Sample> {
      const [result] = await generator.run(
        { ...measured, durationMs },
        ...others.map((job) => Object.assign({}, job, { durationMs })),
      );
      return rateAndLatency(result);
    },
  };
}

function readJob({ data }: World, { port }: MeasuredServer): LoadJob {
  const requests = data.users.map(({ id, adminId }) =>
    requestBytes({ path: `/users/${id}`, headers: bearer(data.tokenOf(adminId)) }),
  );
  return { port, connections: 4, durationMs: 0, requests, expected: [200] };
}

async function loginJob(
  { stack, environmentOf }: World,
  { port }: MeasuredServer,
  connections: number,
): Promise<LoadJob> {
  const { passwords } = loadApiConfig(environmentOf(loginApi));
  const hash = await (await createPasswords(passwords)).hash(PASSWORD);
  const client = new pg.Client({ connectionString: stack.postgresUrl });
  await client.connect();
  try {
    const addresses = await createAccounts(client, 'confirmed', ACCOUNTS, hash);
    const requests = addresses.map((email) =>
      requestBytes({ method: 'POST', path: '/auth/login', body: { email, password: PASSWORD } }),
    );
    return { port, connections, durationMs: 0, requests, expected: [200] };
  } finally {
    await client.end();
  }
}

function rawBcrypt(): ServerSpec {
  const concurrency = hashConcurrency({ cores: cpus().length, threads: THREADS });
  return {
    name: 'bcrypt',
    program: { baseline: 'bcrypt-raw', settings: { cost: COST, concurrency } },
    cpus: 'both',
  };
}

async function sampleHashes(
  { signal }: World,
  raw: MeasuredServer,
  durationMs: number,
): Promise<Sample> {
  const cpuBefore = raw.cpuMs();
  const { count = 0, seconds = 0 } = await runBatch(raw, { ms: durationMs }, signal);
  const cpuUs = ((raw.cpuMs() - cpuBefore) * 1_000) / count;
  return { perSecond: count / seconds, cpuUs, residentMb: raw.residentMb() };
}
