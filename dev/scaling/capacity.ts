import { hashConcurrency } from '../../api/passwords/hash-limiter.js';
import { scalingSettings } from '../../workers/cloudwatch/scalable-work.js';
import { assumed, mailsPerWorker } from './assumptions.js';

/** A part that a load presses against, what one unit of it can do, and what to do beyond. */
export interface Limit {
  readonly part: string;
  readonly unit: string;
  /** Registrations per second at which one unit is used up. */
  readonly perSecond: number;
  readonly remedy: string;
}

/** What a load needs of every part. */
export interface Need {
  readonly perSecond: number;
  readonly hashCores: number;
  /** Large API instances for these hashes, with a thread pool for all but one of their vCPUs. */
  readonly hashInstances: number;
  /** The same with the thread pool that the image sets, however many vCPUs they have. */
  readonly imageHashInstances: number;
  readonly workers: number;
  /** The same with as many SMTP connections as a worker's CPU can keep busy. */
  readonly wideWorkers: number;
  readonly redisCores: number;
  readonly postgresCores: number;
  readonly walBytesPerSecond: number;
  readonly logBytesPerSecond: number;
  readonly mailsPerDay: number;
}

/** A registration is hashed once, and the password that confirms it once more. */
const HASHES = 2;
const DAY_SECONDS = 86_400;
/** 100 connections instead of 20. */
const WIDER = 5;
const ROUNDING = 1e-9;
const LOADS = [1, 14, 100, 300, 1_000, 3_000, 10_000];

const logBytes = assumed('log lines of a registration') * assumed('size of a log line');

/** Hashes at a time in a process of the image, as it limits them itself. */
export const hashesAtOnce = (
  cores: number,
  threads: number = assumed('thread pool of the image'),
): number => hashConcurrency({ cores, threads });
/** The smallest thread pool with which all cores but one hash. */
export const threadsFor = (cores: number): number => cores + 1;

const unsorted: readonly Limit[] = [
  {
    part: 'password hashes',
    unit: 'an API instance with 2 vCPUs, of which one hashes',
    perSecond:
      hashesAtOnce(assumed('vCPUs of an instance')) / (HASHES * assumed('CPU of a hash, cost 12')),
    remedy:
      'more API instances, or larger ones: all vCPUs but one hash, and at most `UV_THREADPOOL_SIZE` - 2, so set it to the vCPUs + 1. `BCRYPT_COST=10` takes a quarter, Argon2id about a tenth ([ADR 9](adr/0009-password-hashes.md))',
  },
  {
    part: 'deleting settled messages after 30 days',
    unit: 'a worker, as a mean over the day',
    perSecond:
      ((assumed('time for deleting, a worker') / assumed('deleting 1,000 settled messages')) *
        1_000) /
      DAY_SECONDS,
    remedy:
      'another worker with the role `relay`: they delete side by side. Beyond that partitions by day would be the next step, and do not exist',
  },
  {
    part: 'SES',
    unit: 'an account as it is at first in production',
    perSecond: 14,
    remedy:
      'ask AWS for a higher rate and quota, then raise `MAIL_RATE`. The quota may be the lower one: 50,000 a day is a mean of 0.6 a second',
  },
  {
    part: 'SMTP connections',
    unit: 'a worker with 20 of them',
    perSecond: mailsPerWorker(Infinity),
    remedy: 'another worker: the policy does it. Or `MAIL_CONNECTIONS=100`',
  },
  {
    part: 'event loop of the API',
    unit: 'a process, apart from hashing',
    perSecond: 1 / assumed('CPU of a registration, API'),
    remedy: 'never first: hashing asks for more processes sooner',
  },
  {
    part: 'CPU of a worker',
    unit: 'a process',
    perSecond: 1 / assumed('CPU of a mail'),
    remedy: 'another worker',
  },
  {
    part: 'PostgreSQL',
    unit: 'a core',
    perSecond: 1 / assumed('CPU of a registration, PostgreSQL'),
    remedy: 'a larger instance',
  },
  {
    part: 'Firehose',
    unit: 'a stream in one of the other regions',
    perSecond: assumed('Firehose, other regions') / logBytes,
    remedy:
      'ask AWS for more, or set `LOG_LEVEL=warn`; what is too much waits in the spools, up to `SPOOL_MAX_MIB`',
  },
  {
    part: 'Redis',
    unit: 'a node, which uses one core for commands',
    perSecond: 1 / assumed('CPU of a registration, Redis'),
    remedy:
      'a second deployment with databases of its own, since a queue is on one node; `REDIS_URL_LOGS` moves only the log batches',
  },
  {
    part: 'Firehose',
    unit: 'a stream in us-east-1, us-west-2 or eu-west-1',
    perSecond: assumed('Firehose, large regions') / logBytes,
    remedy: 'as above',
  },
  {
    part: 'log lines',
    unit: 'a worker',
    perSecond: 1 / assumed('CPU of a log line, worker') / assumed('log lines of a registration'),
    remedy: 'another worker: the policy does it',
  },
];

/** Every limit of one unit, the lowest first. */
export const limits = unsorted.toSorted((a, b) => a.perSecond - b.perSecond);

/** What the loads need, up to 10,000 registrations a second. */
export const needs = (): readonly Need[] =>
  LOADS.map((perSecond) => {
    const sesPerSecond = perSecond / scalingSettings.utilisation;
    const usual = mailsPerWorker(sesPerSecond);
    const hashCores = perSecond * HASHES * assumed('CPU of a hash, cost 12');
    const vcpus = assumed('vCPUs of a large API instance');
    const workersAt = (mails: number): number => Math.ceil(sesPerSecond / mails - ROUNDING);
    return {
      perSecond,
      hashCores,
      hashInstances: Math.ceil(hashCores / hashesAtOnce(vcpus, threadsFor(vcpus)) - ROUNDING),
      imageHashInstances: Math.ceil(hashCores / hashesAtOnce(vcpus) - ROUNDING),
      workers: workersAt(usual),
      wideWorkers: workersAt(Math.min(usual * WIDER, 1 / assumed('CPU of a mail'))),
      redisCores: perSecond * assumed('CPU of a registration, Redis'),
      postgresCores: perSecond * assumed('CPU of a registration, PostgreSQL'),
      walBytesPerSecond: perSecond * assumed('WAL of a registration'),
      logBytesPerSecond: perSecond * logBytes,
      mailsPerDay: perSecond * DAY_SECONDS,
    };
  });
