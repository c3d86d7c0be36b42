import type { ChainableCommander, Redis } from 'ioredis';
import { isWrongType } from './redis-refusals.js';

/**
 * Where a job is. `unknown`: Redis has never had it, or has lost it. `broken`: what Redis holds under its id is not that
 * job, or is corrupt, so that no worker can process it.
 */
export interface JobState {
  readonly state: 'unknown' | 'waiting' | 'delayed' | 'active' | 'completed' | 'failed' | 'broken';
  readonly failedReason?: string;
}

/** Where BullMQ keeps a job's id, in the order of BullMQ's own script `getStateV2`. */
const PLACES = [
  { key: 'completed', isList: false, state: 'completed' },
  { key: 'failed', isList: false, state: 'failed' },
  { key: 'delayed', isList: false, state: 'delayed' },
  { key: 'prioritized', isList: false, state: 'waiting' },
  { key: 'active', isList: true, state: 'active' },
  { key: 'wait', isList: true, state: 'waiting' },
  { key: 'paused', isList: true, state: 'waiting' },
  { key: 'waiting-children', isList: false, state: 'waiting' },
] as const;

const DELAYED = PLACES.findIndex(({ key }) => key === 'delayed');

/** The score of a delayed job is the time when it is due, times this (BullMQ's script `moveToDelayed`). */
export const SCORE_PER_MS = 0x1000;
/** Longer than any job is delayed: a later score is corrupt. */
const MAX_DELAY_MS = 86_400_000;
const endOfDelays = (): number => (Date.now() + MAX_DELAY_MS) * SCORE_PER_MS;

/**
 * Reads a job's state, and whether its record is intact.
 * @throws when Redis does not answer, or one of the queue's own keys cannot be read.
 */
export async function readState(
  redis: Redis,
  keyOf: (name: string) => string,
  jobId: string,
  isIntact?: (data: unknown) => boolean,
): Promise<JobState> {
  const { state, dueScore, record } = await lookUp(redis, keyOf, jobId, isIntact ? ['data'] : []);
  if (record === 'no record') return { state: 'broken' };
  if (state === 'failed') return { state, failedReason: record.reason ?? '' };
  // The record of a completed or unknown job is never read again.
  if (state === 'unknown' || state === 'completed') return { state };
  const isBroken = isCorrupt(record, isIntact) || dueScore > endOfDelays();
  return { state: isBroken ? 'broken' : state };
}

interface JobRecord {
  readonly reason: string | null;
  readonly options: string | null;
  readonly data: string | null;
}

const isCorrupt = ({ options, data }: JobRecord, isIntact?: (data: unknown) => boolean): boolean =>
  isIntact ? !(hasAttempts(parsedJson(options)) && isIntact(parsedJson(data))) : options === null;

/**
 * Looks into all places in one transaction. BullMQ's own `getState` does not know the version of this Redis, and would
 * copy whole lists for each job.
 */
async function lookUp(
  redis: Redis,
  keyOf: (name: string) => string,
  jobId: string,
  more: readonly 'data'[],
) {
  const look = redis.multi();
  for (const { key, isList } of PLACES) {
    // From the end with the oldest jobs, which are looked up most.
    if (isList) look.lpos(keyOf(key), jobId, 'RANK', -1);
    else look.zscore(keyOf(key), jobId);
  }
  const answers = await look.hmget(keyOf(jobId), 'failedReason', 'opts', ...more).exec();
  if (answers?.length !== PLACES.length + 1)
    throw new Error('Redis gave an incomplete answer about the job');
  const found = PLACES.map((_, i) => foundIn(answers[i]));
  const state: JobState['state'] = PLACES.find((_, i) => found[i] !== null)?.state ?? 'unknown';
  return { state, dueScore: Number(found[DELAYED] ?? 0), record: recordIn(answers.at(-1)) };
}

function recordIn(answer: Answers[number] | undefined): JobRecord | 'no record' {
  if (isWrongType(answer?.[0])) return 'no record';
  const [reason = null, options = null, data = null] = foundIn(answer) as (string | null)[];
  return { reason, options, data };
}

type Answers = NonNullable<Awaited<ReturnType<ChainableCommander['exec']>>>;

function foundIn(answer: Answers[number] | undefined): unknown {
  const [error, value] = answer ?? [null, null];
  if (error) throw error;
  return value;
}

/** False for a job whose options are lost or corrupt: BullMQ would never retry it. */
export const hasAttempts = (options: unknown): boolean =>
  typeof options === 'object' &&
  options !== null &&
  'attempts' in options &&
  typeof options.attempts === 'number' &&
  options.attempts >= 1;

/** Undefined for missing or invalid JSON. */
export function parsedJson(text: string | null): unknown {
  try {
    return JSON.parse(text ?? '') as unknown;
  } catch {
    return undefined;
  }
}

/** Keys of BullMQ that hold a number: the jobs that the limiter has let through, and the last automatic id. */
const NUMBERS = ['limiter', 'id'] as const;
/** The types of the keys that BullMQ keeps once per queue. */
const TYPES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(PLACES.map(({ key, isList }) => [key, isList ? 'list' : 'zset'])),
  events: 'stream',
  marker: 'zset',
  meta: 'hash',
  stalled: 'set',
  ...Object.fromEntries(NUMBERS.map((key) => [key, 'string'])),
};

/**
 * Removes a queue's own keys that are corrupt: of another type than BullMQ's, or without a number where one belongs.
 * Commands on the queue would always fail on them, and what they should hold is lost. Resolves to their names.
 */
export async function removeCorruptKeys(
  redis: Redis,
  keyOf: (name: string) => string,
): Promise<string[]> {
  const names = Object.keys(TYPES);
  const look = redis.pipeline();
  for (const name of names) look.type(keyOf(name));
  for (const name of NUMBERS) look.get(keyOf(name));
  const answers = (await look.exec()) ?? [];
  const counts = answers.slice(names.length);
  const corrupt = names.filter((name, i) => {
    if (![TYPES[name], 'none'].includes(typeIn(answers[i]))) return true;
    const count = counts[NUMBERS.findIndex((each) => each === name)];
    return count !== undefined && !isCount(foundIn(count));
  });
  if (corrupt.length > 0) await redis.del(...corrupt.map(keyOf));
  return corrupt;
}

/** True for a value that `INCR` accepts, and for none at all. */
const isCount = (value: unknown): boolean =>
  value === null ||
  (typeof value === 'string' && /^-?\d+$/.test(value) && Number.isSafeInteger(Number(value)));

function typeIn(answer: Answers[number] | undefined): string {
  const type = foundIn(answer);
  return typeof type === 'string' ? type : 'none';
}

/** Removes everything that Redis holds under a job's id: its places, its lock and its record, of whatever type. */
export async function discardJob(
  redis: Redis,
  keyOf: (name: string) => string,
  jobId: string,
): Promise<void> {
  const removal = redis.multi();
  for (const { key, isList } of PLACES) {
    if (isList) removal.lrem(keyOf(key), 0, jobId);
    else removal.zrem(keyOf(key), jobId);
  }
  removal.srem(keyOf('stalled'), jobId);
  removal.del(keyOf(jobId), keyOf(`${jobId}:lock`), keyOf(`${jobId}:logs`));
  for (const answer of (await removal.exec()) ?? []) foundIn(answer);
}
