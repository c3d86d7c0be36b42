import pg from 'pg';
import { COUNTER, type LoadJob } from '../load/load-job.js';
import { requestBytes } from '../load/requests.js';
import { PRODUCT, type Measurement, type Sample } from '../measurement.js';
import {
  openSmtpReceiver,
  type ReceivedMail,
  type SmtpReceiver,
} from '../receivers/smtp-receiver.js';
import { waitUntil } from '../wait-until.js';
import type { MeasuredServer, ServerSpec, World } from '../world.js';
import { runBatch } from './batches.js';
import { freshCount, rateAndLatency } from './http-measurement.js';

const REGISTRATIONS_PER_SECOND = 50;
const CONNECTIONS = 5;
const ACCEPTED_WITHIN_MS = 60_000;
const NODEMAILER = 'nodemailer, pooled';

/** From a registration to its mail. */
export const register: Measurement = {
  name: 'register',
  title: `POST /auth/register at ${REGISTRATIONS_PER_SECOND} a second, until the mail server has accepted the mail`,
  rounds: { full: 5, short: 1 },
  settings: 'BCRYPT_COST=4, RATE_LIMIT_SCALE=100000, MAIL_RATE=1000, MAIL_CONNECTIONS=5; both CPUs',
  goals: [
    { figure: 'acceptedP50Ms', of: PRODUCT, atMost: 15 },
    { figure: 'acceptedP99Ms', of: PRODUCT, atMost: 60 },
  ],
  async open(world) {
    const receiver = await openSmtpReceiver();
    const server = await world.server(registrationApi);
    await world.server(mailWorker('register-worker', receiver, { cpus: 'both', rate: 1_000 }));
    return {
      contenders: [
        { name: PRODUCT, sample: (ms) => sampleRegistrations(world, server, receiver, ms) },
      ],
      async close() {
        await world.stop('register-worker');
        await world.stop(registrationApi.name);
        await receiver.close();
      },
    };
  },
};

/** How fast mails leave that wait already. */
export const mail: Measurement = {
  name: 'mail',
  title: `mails of a backlog, ${CONNECTIONS} SMTP connections`,
  rounds: { full: 9, short: 2 },
  settings: `MAIL_RATE=100000, MAIL_CONNECTIONS=${CONNECTIONS}, RATE_LIMIT_SCALE=100000`,
  goals: [{ figure: 'perSecond', of: PRODUCT, against: NODEMAILER, atLeast: 0.85 }],
  async open(world, { isShort }) {
    const receiver = await openSmtpReceiver();
    const worker = await world.server(
      mailWorker('mail-worker', receiver, { cpus: 'measured', rate: 100_000 }),
    );
    const baseline = await world.server({
      name: 'nodemailer',
      program: {
        baseline: 'nodemailer-pool',
        settings: { smtpPort: receiver.port, connections: CONNECTIONS },
      },
    });
    const count = isShort ? 300 : 1_500;
    return {
      contenders: [
        {
          name: PRODUCT,
          sample: () =>
            sampleMails(world, worker, receiver, {
              count,
              start: () => insertBacklog(world, count),
            }),
        },
        {
          name: NODEMAILER,
          sample: () =>
            sampleMails(world, baseline, receiver, {
              count,
              start: () => runBatch(baseline, { count }, world.signal),
            }),
        },
      ],
      async close() {
        await world.stop('mail-worker');
        await world.stop('nodemailer');
        await receiver.close();
      },
    };
  },
};

/** Registrations at a cost that leaves the CPU to everything else. */
export const registrationApi: ServerSpec = {
  name: 'registration-api',
  program: { script: 'api/main' },
  variables: { NODE_ENV: 'development', BCRYPT_COST: '4', RATE_LIMIT_SCALE: '100000' },
  cpus: 'both',
};

/** A worker that enqueues and sends mails to this receiver, and nothing else. */
export const mailWorker = (
  name: string,
  { port }: SmtpReceiver,
  { cpus, rate }: { readonly cpus: 'both' | 'measured'; readonly rate: number },
): ServerSpec => ({
  name,
  program: { script: 'workers/main' },
  variables: {
    NODE_ENV: 'development',
    WORKER_ROLES: 'mail,relay',
    RATE_LIMIT_SCALE: '100000',
    MAIL_RATE: String(rate),
    MAIL_CONNECTIONS: String(CONNECTIONS),
    MAIL_HOST: '127.0.0.1',
    MAIL_PORT: String(port),
  },
  cpus,
});

/** Registrations of new addresses at a steady rate. */
export const registrationJob = ({ port }: MeasuredServer): LoadJob => ({
  port,
  connections: 16,
  durationMs: 0,
  perSecond: REGISTRATIONS_PER_SECOND,
  firstCount: freshCount(),
  requests: [
    requestBytes({
      method: 'POST',
      path: '/auth/register',
      body: {
        email: `r${COUNTER}@bench.example`,
        name: 'Someone New',
        password: 'violet kettle under nine bridges',
      },
    }),
  ],
  expected: [202],
});

async function sampleRegistrations(
  { generator, signal }: World,
  server: MeasuredServer,
  receiver: SmtpReceiver,
  durationMs: number,
): Promise<Sample> {
  const acceptedAt = new Map<number, number>();
  collect(receiver, ({ recipient, atMs }) => {
    acceptedAt.set(Number(/^r(\d+)@/.exec(recipient)?.[1]), atMs);
  });
  const cpuBefore = server.cpuMs();
  // A second has few registrations: percentiles need more of them.
  const job = {
    ...registrationJob(server),
    durationMs: Math.max(durationMs, 3_000),
    isTraced: true,
  };
  const [result] = await generator.run(job);
  const { answers } = result;
  const cpuUs = ((server.cpuMs() - cpuBefore) * 1_000) / answers.length;
  await waitUntil(
    'all mails are accepted',
    () => answers.every(({ count }) => acceptedAt.has(count)),
    {
      limitMs: ACCEPTED_WITHIN_MS,
      signal,
    },
  );
  const waits = answers
    .map(({ count, atMs }) => (acceptedAt.get(count) ?? Number.NaN) - atMs)
    .toSorted((one, other) => one - other);
  return {
    ...rateAndLatency(result),
    acceptedP50Ms: waits[Math.floor((waits.length - 1) * 0.5)] ?? Number.NaN,
    acceptedP99Ms: waits[Math.floor((waits.length - 1) * 0.99)] ?? Number.NaN,
    cpuUs,
    residentMb: server.residentMb(),
  };
}

/** From the first mail to the last; the sender's CPU time also before and after. */
async function sampleMails(
  { signal }: World,
  sender: MeasuredServer,
  receiver: SmtpReceiver,
  { count, start }: { readonly count: number; readonly start: () => Promise<unknown> },
): Promise<Sample> {
  const times: number[] = [];
  let allBytes = 0;
  collect(receiver, ({ atMs, bytes }) => {
    times.push(atMs);
    allBytes += bytes;
  });
  const cpuBefore = sender.cpuMs();
  const started = start();
  await waitUntil('the backlog is sent', () => times.length >= count, {
    limitMs: ACCEPTED_WITHIN_MS,
    signal,
  });
  await started;
  const cpuUs = ((sender.cpuMs() - cpuBefore) * 1_000) / count;
  const seconds = ((times.at(-1) ?? 0) - (times[0] ?? 0)) / 1_000;
  return {
    perSecond: (count - 1) / seconds,
    cpuUs,
    mailBytes: allBytes / count,
    residentMb: sender.residentMb(),
  };
}

function collect(receiver: SmtpReceiver, onMail: (mail: ReceivedMail) => void): void {
  Object.assign(receiver, { onMail });
}

/** Registrations whose mails are due, as the API leaves them when Redis is down: the relay enqueues them. */
async function insertBacklog({ stack }: World, count: number): Promise<void> {
  const client = new pg.Client({ connectionString: stack.postgresUrl });
  await client.connect();
  try {
    await client.query(INSERT_BACKLOG, [freshCount(), count]);
  } finally {
    await client.end();
  }
}

const INSERT_BACKLOG = `
  with due as (
    select gen_random_uuid() as id, 'b' || n || '@bench.example' as address
      from generate_series($1::bigint, $1::bigint + $2::integer - 1) as n
  ), registered as (
    insert into registrations (id, email, email_canonical, name, name_canonical, password_hash)
    select gen_random_uuid(), address, address, address, address, 'none' from due
  ), confirming as (
    insert into confirmations (id, purpose, email, email_canonical, nonce, expires_at)
    select id, 'registration', address, address, decode(md5(address), 'hex'), now() + interval '1 day' from due
  )
  insert into outbox (id, name, payload, recipient, trace_id)
  select gen_random_uuid(), 'send-confirmation-mail', jsonb_build_object('v', 1, 'confirmation_id', id), address,
         md5(address)
    from due`;
