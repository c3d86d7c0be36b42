import type { ChainableCommander, Redis } from 'ioredis';
import { isWrongType } from './redis-refusals.js';

/**
 * What the sweep wants to know about a job. `unknown`: Redis has never seen it, or has lost it. `broken`: what Redis holds
 * under its id is not that job, and no worker can do it.
 */
export interface JobState {
  readonly state: 'unknown' | 'waiting' | 'delayed' | 'active' | 'completed' | 'failed' | 'broken';
  readonly failedReason?: string;
}

/** Where BullMQ keeps a job's id: BullMQ's own script `getStateV2`, whose order this is. */
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

/** When a delayed job is due, as BullMQ's script `moveToDelayed` writes it. The job itself knows when it was made. */
export const SCORE_PER_MS = 0x1000;
/** No job is ever delayed for so long. */
const MAX_DELAY_MS = 86_400_000;
const endOfDelays = (): number => (Date.now() + MAX_DELAY_MS) * SCORE_PER_MS;

/**
 * Where a job is, and whether it is one.
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
  // One that is done or in no place is judged by that alone: nobody will read it again.
  if (state === 'unknown' || state === 'completed') return { state };
  const isBroken = isLost(record, isIntact) || dueScore > endOfDelays();
  return { state: isBroken ? 'broken' : state };
}

interface JobRecord {
  readonly reason: string | null;
  readonly options: string | null;
  readonly data: string | null;
}

const isLost = ({ options, data }: JobRecord, isIntact?: (data: unknown) => boolean): boolean =>
  isIntact ? !(hasAttempts(parsed(options)) && isIntact(parsed(data))) : options === null;

/**
 * Looks into all places at one moment. BullMQ, which does not know the version of this Redis, would copy whole lists for
 * each job that is asked for.
 */
async function lookUp(
  redis: Redis,
  keyOf: (name: string) => string,
  jobId: string,
  more: readonly 'data'[],
) {
  const look = redis.multi();
  for (const { key, isList } of PLACES) {
    // From the end where the oldest wait, which are asked for most.
    if (isList) look.lpos(keyOf(key), jobId, 'RANK', -1);
    else look.zscore(keyOf(key), jobId);
  }
  const answers = await look.hmget(keyOf(jobId), 'failedReason', 'opts', ...more).exec();
  if (answers?.length !== PLACES.length + 1) throw new Error('Redis does not say where the job is');
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

/** The options are gone with the rest of a job, and BullMQ would not try one again that has none. */
export const hasAttempts = (options: unknown): boolean =>
  typeof options === 'object' &&
  options !== null &&
  'attempts' in options &&
  typeof options.attempts === 'number' &&
  options.attempts >= 1;

/** Undefined when it is missing or no JSON. */
function parsed(text: string | null | undefined): unknown {
  try {
    return JSON.parse(text ?? '') as unknown;
  } catch {
    return undefined;
  }
}

/** Keys in which BullMQ counts: how many jobs the limiter has let through, and the last id that it gave out. */
const NUMBERS = ['limiter', 'id'] as const;
/** What BullMQ keeps in the keys that a queue has once. */
const TYPES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(PLACES.map(({ key, isList }) => [key, isList ? 'list' : 'zset'])),
  events: 'stream',
  marker: 'zset',
  meta: 'hash',
  stalled: 'set',
  ...Object.fromEntries(NUMBERS.map((key) => [key, 'string'])),
};

/**
 * Removes those of a queue's own keys that hold another type of data than BullMQ's, or no number where it counts: commands
 * on the queue would fail on them for ever, and what they should hold is gone. Resolves to their names.
 */
export async function removeForeignKeys(
  redis: Redis,
  keyOf: (name: string) => string,
): Promise<string[]> {
  const names = Object.keys(TYPES);
  const look = redis.pipeline();
  for (const name of names) look.type(keyOf(name));
  for (const name of NUMBERS) look.get(keyOf(name));
  const answers = (await look.exec()) ?? [];
  const counts = answers.slice(names.length);
  const foreign = names.filter((name, i) => {
    if (![TYPES[name], 'none'].includes(typeIn(answers[i]))) return true;
    const count = counts[NUMBERS.findIndex((each) => each === name)];
    return count !== undefined && !isCount(foundIn(count));
  });
  if (foreign.length > 0) await redis.del(...foreign.map(keyOf));
  return foreign;
}

/** True for what `INCR` takes, and for no value at all. */
const isCount = (value: unknown): boolean =>
  value === null ||
  (typeof value === 'string' && /^-?\d+$/.test(value) && Number.isSafeInteger(Number(value)));

function typeIn(answer: Answers[number] | undefined): string {
  const type = foundIn(answer);
  return typeof type === 'string' ? type : 'none';
}

/** Removes all that Redis holds under a job's id: from every place, its lock and its record, of whatever type. */
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
