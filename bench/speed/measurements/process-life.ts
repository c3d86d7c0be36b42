import { setTimeout as delay } from 'node:timers/promises';
import { workerRoles } from '../../../shared/queues/registry.js';
import type { Contender, Measurement, Plan, Sample } from '../measurement.js';
import { openFirehoseReceiver } from '../receivers/firehose-receiver.js';
import { openSmtpReceiver } from '../receivers/smtp-receiver.js';
import type { MeasuredServer, ServerSpec, World } from '../world.js';
import { freshCount } from './http-measurement.js';
import { mailWorker, registrationApi, registrationJob } from './mails.js';
import { usualStack } from './servers.js';
import { createRequests, listRequests, readRequests } from './users.js';

const API = 'API';
const WORKER = 'worker';

/** From the start of a process until it accepts connections. */
export const start: Measurement = {
  name: 'start',
  rounds: { full: 5, short: 2 },
  title: 'from the start of a process until it listens',
  settings: 'none; BCRYPT_COST is 12 by default; both CPUs',
  goals: [
    { figure: 'startMs', of: API, atMost: 600 },
    { figure: 'startMs', of: WORKER, atMost: 800 },
  ],
  warmsUp: false,
  open: (world) => {
    const contenders = [
      starting(world, API, { name: 'starting-api', program: { script: 'api/main' } }),
      starting(world, WORKER, { name: 'starting-worker', program: { script: 'workers/main' } }),
      starting(world, 'express + sequelize + passport-jwt', { ...usualStack, name: 'starting' }),
    ];
    return Promise.resolve({ contenders });
  },
};

function starting(world: World, name: string, spec: ServerSpec): Contender {
  return {
    name,
    async sample() {
      const { listeningAfterMs, residentMb } = await world.server({ ...spec, cpus: 'both' });
      const sample = { startMs: listeningAfterMs, residentMb: residentMb() };
      await world.stop(spec.name);
      return sample;
    },
  };
}

const FULL_LOAD_MS = 10 * 60_000;
const SHORT_LOAD_MS = 6_000;
const SAMPLE_EVERY_MS = 1_000;

/** Memory under everything at once. */
export const memory: Measurement = {
  name: 'memory',
  title: 'resident memory after 10 minutes of full load (short mode: 6 seconds)',
  settings:
    'BCRYPT_COST=4, RATE_LIMIT_SCALE=100000; reads, lists, creates and 50 registrations a second, their mails and logs',
  goals: [
    { figure: 'residentMb', of: API, atMost: 200 },
    { figure: 'residentMb', of: WORKER, atMost: 200 },
    { figure: 'growth', of: API, atMost: 1.1 },
    { figure: 'growth', of: WORKER, atMost: 1.1 },
  ],
  rounds: { full: 1, short: 1 },
  warmsUp: false,
  async open(world, plan) {
    const smtp = await openSmtpReceiver();
    const firehose = await openFirehoseReceiver();
    const shipping = {
      WORKER_ROLES: workerRoles.join(),
      REDIS_URL_LOGS: world.logsUrl,
      AWS_ENDPOINT_URL_FIREHOSE: firehose.url,
    };
    const api = await world.server(withVariables(registrationApi, 'loaded-api', shipping));
    const worker = await world.server(
      withVariables(
        mailWorker('loaded-worker', smtp, { cpus: 'both', rate: 1_000 }),
        'loaded-worker',
        shipping,
      ),
    );
    const found = loadBoth(world, plan, api, worker);
    return {
      contenders: [
        { name: API, sample: async () => (await found).api },
        { name: WORKER, sample: async () => (await found).worker },
      ],
      async close() {
        await Promise.all([world.stop('loaded-api'), world.stop('loaded-worker')]);
        await Promise.all([smtp.close(), firehose.close()]);
      },
    };
  },
};

const withVariables = (
  spec: ServerSpec,
  name: string,
  variables: Readonly<Record<string, string>>,
): ServerSpec => ({ ...spec, name, variables: { ...spec.variables, ...variables } });

/** A 503 ends nothing here: in ten minutes PostgreSQL may be busy with its disk for longer than a request waits. */
async function loadBoth(
  world: World,
  { isShort }: Plan,
  api: MeasuredServer,
  worker: MeasuredServer,
): Promise<{ api: Sample; worker: Sample }> {
  const durationMs = isShort ? SHORT_LOAD_MS : FULL_LOAD_MS;
  const { port } = api;
  const load = world.generator.run(
    { port, connections: 16, durationMs, requests: readRequests(world), expected: [200, 503] },
    { port, connections: 4, durationMs, requests: listRequests(world), expected: [200, 503] },
    {
      port,
      connections: 4,
      durationMs,
      requests: createRequests(world),
      expected: [201, 503],
      firstCount: freshCount(),
    },
    { ...registrationJob(api), durationMs, expected: [202, 503] },
  );
  const watched = Promise.all([watch(api, durationMs), watch(worker, durationMs)]);
  const [[ofApi, ofWorker]] = await Promise.all([watched, load]);
  return { api: ofApi, worker: ofWorker };
}

/** The most that it holds in the last quarter, and that against the third quarter. */
async function watch(server: MeasuredServer, durationMs: number): Promise<Sample> {
  const held: number[] = [];
  for (let passedMs = 0; passedMs < durationMs; passedMs += SAMPLE_EVERY_MS) {
    await delay(SAMPLE_EVERY_MS);
    held.push(server.residentMb());
  }
  const quarter = Math.floor(held.length / 4);
  const last = Math.max(...held.slice(-quarter));
  return { residentMb: last, growth: last / Math.max(...held.slice(-2 * quarter, -quarter)) };
}
