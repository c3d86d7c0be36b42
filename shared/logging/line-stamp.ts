import { randomBytes } from 'node:crypto';

/** The ids of one source are unique and grow, even if the clock is set back. */
interface StampState {
  /** The clock's time at the last line, in milliseconds since the epoch. */
  clockMs: number;
  /** The same, as it is written into lines. */
  time: string;
  /** The milliseconds in the last id: the clock's, or later ones. */
  idMs: number;
  /** The ids of these milliseconds so far. */
  counter: number;
  /** The first digits of these milliseconds' ids, up to the counter. */
  prefix: string;
  /** The last digits of all ids: random, and what makes them differ from those of other sources. */
  readonly suffix: string;
}

/** Ids in one millisecond: twelve bits. */
const MAX_IDS = 0x1000;

/**
 * Returns what makes each line unique, as JSON members with a leading comma: `@timestamp`, and `event.id`, a UUID of version
 * 7 (RFC 9562) with a counter (section 6.2, method 1) and 62 random bits of this source (section 6.4). A line costs no
 * random bytes and mostly no formatting of dates.
 * @param clock milliseconds since the epoch.
 */
export function createLineStamp(clock: () => number = Date.now): () => string {
  const state: StampState = {
    clockMs: -1,
    time: '',
    idMs: -1,
    counter: 0,
    prefix: '',
    suffix: randomSuffix(),
  };
  return () => stamp(state, clock());
}

function stamp(state: StampState, nowMs: number): string {
  if (nowMs !== state.clockMs) {
    state.clockMs = nowMs;
    state.time = new Date(nowMs).toISOString();
  }
  if (nowMs > state.idMs) startMillisecond(state, nowMs);
  // More ids than a millisecond has, perhaps because the clock was set back: the next one is used early.
  else if (state.counter === MAX_IDS) startMillisecond(state, state.idMs + 1);
  const counter = (MAX_IDS + state.counter).toString(16).slice(1);
  state.counter += 1;
  return `,"@timestamp":"${state.time}","event.id":"${state.prefix}${counter}${state.suffix}"`;
}

function startMillisecond(state: StampState, idMs: number): void {
  const digits = idMs.toString(16).padStart(12, '0');
  state.idMs = idMs;
  state.counter = 0;
  state.prefix = `${digits.slice(0, 8)}-${digits.slice(8)}-7`;
}

function randomSuffix(): string {
  const bytes = randomBytes(8);
  const digits = bytes.toString('hex');
  const variant = (0x8 | (bytes.readUInt8() >> 6)).toString(16);
  return `-${variant}${digits.slice(1, 4)}-${digits.slice(4)}`;
}
